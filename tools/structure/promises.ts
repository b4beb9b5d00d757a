/**
 * The rule that nothing is left to itself: a promise is awaited, returned, kept, or given to `inBackground()`.
 *
 * The types decide, so the compiler is asked. What is looked for: a promise that is a statement of its own, or `void`;
 * and one that is returned where the caller expects nothing, as of timers, listeners and `forEach()`.
 *
 * @module
 */

import ts from "npm:typescript@5.9.3";

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"],
  allowImportingTsExtensions: true,
  noEmit: true,
  strict: true,
  types: [],
};

/** The file that owns work that nobody waits for: the only one that may leave a promise to itself. */
const OWNER = "src/owned_work.ts";

/** Functions that call what they are given, later, and take nothing from it; their types do not tell all of them. */
const CALLERS: ReadonlySet<string> = new Set(
  ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "addEventListener", "forEach", "once", "on"],
);

/** What is wrong with the files, each with its line; `root` is cut off their paths. */
export function promiseProblems(root: string, files: readonly string[]): string[] {
  const program = ts.createProgram(files.map((file) => `${root}/${file}`), OPTIONS);
  const checker = program.getTypeChecker();
  return files.filter((file) => file !== OWNER).flatMap((file) => {
    const source = program.getSourceFile(`${root}/${file}`);
    if (source === undefined) return [`${file}: cannot be read`];
    return fileProblems(source, checker).map(({ node, problem }) => {
      const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
      return `${file}:${line + 1}: ${problem}`;
    });
  });
}

interface Found {
  readonly node: ts.Node;
  readonly problem: string;
}

function fileProblems(source: ts.SourceFile, checker: ts.TypeChecker): Found[] {
  const found: Found[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isExpressionStatement(node)) lookAt(node.expression);
    else if (ts.isVoidExpression(node)) lookAt(node.expression);
    else if (ts.isCallExpression(node) || ts.isNewExpression(node)) lookAtArguments(node);
    else if (ts.isPropertyAssignment(node)) lookAtFunction(node.initializer);
    else if (ts.isVariableDeclaration(node) && node.initializer !== undefined) lookAtFunction(node.initializer);
    else if (ts.isPropertyDeclaration(node) && node.initializer !== undefined) lookAtFunction(node.initializer);
    else if (ts.isReturnStatement(node) && node.expression !== undefined) lookAtFunction(node.expression);
    else if (ts.isMethodDeclaration(node)) lookAtMethod(node);
    ts.forEachChild(node, visit);
  };
  /** An expression whose value nobody takes. */
  const lookAt = (expression: ts.Expression): void => {
    for (const part of partsOf(expression)) {
      if (isKept(part) || !isPromise(checker.getTypeAtLocation(part), checker)) continue;
      found.push({ node: part, problem: `the promise of "${part.getText().slice(0, 60)}" is left to itself` });
    }
  };
  const lookAtArguments = (call: ts.CallExpression | ts.NewExpression): void => {
    for (const argument of call.arguments ?? []) {
      if (CALLERS.has(nameOf(call.expression))) report(argument);
      else lookAtFunction(argument);
    }
  };
  /** A method whose object is of a type in which it returns nothing. */
  const lookAtMethod = (method: ts.MethodDeclaration): void => {
    const { parent } = method;
    const bases = ts.isObjectLiteralExpression(parent)
      ? [checker.getContextualType(parent)]
      : (parent.heritageClauses ?? []).flatMap(({ types }) => types.map((type) => checker.getTypeAtLocation(type)));
    for (const base of bases) {
      const wanted = base?.getProperty(method.name.getText());
      if (wanted !== undefined && returnsNothing(checker.getTypeOfSymbol(wanted))) report(method);
    }
  };
  const returnsNothing = (wanted: ts.Type): boolean => {
    const calls = checker.getNonNullableType(wanted).getCallSignatures();
    return calls.length > 0 && calls.every((call) => isNothing(call.getReturnType()));
  };
  const report = (given: ts.Node): void => {
    const own = checker.getTypeAtLocation(given).getCallSignatures();
    if (!own.some((call) => isPromise(call.getReturnType(), checker))) return;
    const problem = `a promise is returned to who expects nothing: "${given.getText().slice(0, 60)}"`;
    found.push({ node: given, problem });
  };
  /** A function that is given to somebody who expects nothing of it. */
  const lookAtFunction = (given: ts.Expression): void => {
    const wanted = checker.getContextualType(given);
    if (wanted !== undefined && returnsNothing(wanted)) report(given);
  };
  visit(source);
  return found;
}

/** The expressions that an expression may end with. */
function partsOf(expression: ts.Expression): ts.Expression[] {
  if (ts.isParenthesizedExpression(expression)) return partsOf(expression.expression);
  if (ts.isConditionalExpression(expression)) return [expression.whenTrue, expression.whenFalse].flatMap(partsOf);
  if (!ts.isBinaryExpression(expression)) return [expression];
  const { operatorToken: { kind }, right } = expression;
  const isChoice = kind === ts.SyntaxKind.BarBarToken || kind === ts.SyntaxKind.AmpersandAmpersandToken ||
    kind === ts.SyntaxKind.QuestionQuestionToken || kind === ts.SyntaxKind.CommaToken;
  return isChoice ? partsOf(right) : [expression];
}

/** Whether somebody has the value: `await`, an assignment, a `void` that is looked at by itself. */
function isKept(expression: ts.Expression): boolean {
  return ts.isAwaitExpression(expression) || ts.isBinaryExpression(expression) || ts.isVoidExpression(expression);
}

function nameOf(called: ts.Expression): string {
  return ts.isPropertyAccessExpression(called) ? called.name.text : ts.isIdentifier(called) ? called.text : "";
}

function isNothing(type: ts.Type): boolean {
  return (type.flags & (ts.TypeFlags.Void | ts.TypeFlags.Undefined)) !== 0;
}

/** Whether somebody has to wait for it; also of lists of promises. */
function isPromise(type: ts.Type, checker: ts.TypeChecker): boolean {
  if (type.isUnion()) return type.types.some((each) => isPromise(each, checker));
  if (checker.isArrayType(type) || checker.isTupleType(type)) {
    return checker.getTypeArguments(type as ts.TypeReference).some((each) => isPromise(each, checker));
  }
  const then = type.getProperty("then");
  if (then === undefined || (type.flags & ts.TypeFlags.Any) !== 0) return false;
  return checker.getTypeOfSymbol(then).getCallSignatures().length > 0;
}
