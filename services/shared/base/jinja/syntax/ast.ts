/** The syntax tree of a template. Lines count from 1. */

/** What an expression is. */
export type Expression =
  | { readonly type: "Const"; readonly value: string | boolean | null | bigint | number; readonly line: number }
  | { readonly type: "Name"; readonly name: string; readonly line: number }
  | { readonly type: "Tuple" | "List"; readonly items: readonly Expression[]; readonly line: number }
  | { readonly type: "Dict"; readonly items: readonly (readonly [Expression, Expression])[]; readonly line: number }
  | { readonly type: "Attribute"; readonly of: Expression; readonly name: string; readonly line: number }
  | { readonly type: "Item"; readonly of: Expression; readonly index: Expression; readonly line: number }
  | Slice
  | Call
  | Filter
  | ({ readonly type: "Test"; readonly name: string; readonly of: Expression; readonly line: number } & Arguments)
  | { readonly type: "Compare"; readonly first: Expression; readonly rest: readonly Comparison[]; readonly line: number }
  | { readonly type: "And" | "Or"; readonly left: Expression; readonly right: Expression; readonly line: number }
  | { readonly type: "Not" | "Neg" | "Pos"; readonly of: Expression; readonly line: number }
  | { readonly type: "Binary"; readonly operator: string; readonly left: Expression; readonly right: Expression; readonly line: number }
  | { readonly type: "Concat"; readonly items: readonly Expression[]; readonly line: number }
  | Condition;

/** One comparison of a chain: what follows the operator. */
export interface Comparison {
  readonly operator: string;
  readonly right: Expression;
}

/** `a if test else b`; without `else` it may be undefined. */
export interface Condition {
  readonly type: "Condition";
  readonly test: Expression;
  readonly then: Expression;
  readonly otherwise: Expression | null;
  readonly line: number;
}

/** `start:stop:step` within brackets. */
export interface Slice {
  readonly type: "Slice";
  readonly start: Expression | null;
  readonly stop: Expression | null;
  readonly step: Expression | null;
  readonly line: number;
}

/** Arguments of a call, a filter or a test. */
export interface Arguments {
  readonly positional: readonly Expression[];
  readonly keywords: readonly (readonly [string, Expression])[];
  /** `*list` */
  readonly spread: Expression | null;
  /** `**dict` */
  readonly spreadKeywords: Expression | null;
}

/** A call of a function, a method or a macro. */
export interface Call extends Arguments {
  readonly type: "Call";
  readonly of: Expression;
  readonly line: number;
}

/** A filter; the first of a filter block has no value of its own. */
export interface Filter extends Arguments {
  readonly type: "Filter";
  readonly name: string;
  readonly of: Expression | null;
  readonly line: number;
}

/** What can be assigned to. */
export type Target =
  | { readonly type: "Name"; readonly name: string; readonly line: number }
  | { readonly type: "NamespaceItem"; readonly namespace: string; readonly name: string; readonly line: number }
  | { readonly type: "Tuple"; readonly items: readonly Target[]; readonly line: number };

/** A parameter of a macro or a call block. */
export interface Parameter {
  readonly name: string;
  readonly default: Expression | null;
}

type Body = readonly Statement[];

/** A macro, or the body that a call block hands to what it calls. */
export interface Macro {
  readonly type: "Macro";
  readonly name: string;
  readonly parameters: readonly Parameter[];
  readonly body: Body;
  readonly line: number;
}

/** A loop. */
export interface For {
  readonly type: "For";
  readonly target: Target;
  readonly of: Expression;
  readonly test: Expression | null;
  readonly recursive: boolean;
  readonly body: Body;
  readonly otherwise: Body;
  readonly line: number;
}

/** What a statement is; `Refused` raises when it is reached. */
export type Statement =
  | { readonly type: "Data"; readonly text: string; readonly line: number }
  | { readonly type: "Print"; readonly value: Expression; readonly line: number }
  | For
  | { readonly type: "If"; readonly branches: readonly Branch[]; readonly otherwise: Body; readonly line: number }
  | Macro
  | { readonly type: "CallBlock"; readonly call: Call; readonly macro: Macro; readonly line: number }
  | { readonly type: "FilterBlock"; readonly filter: Filter; readonly body: Body; readonly line: number }
  | {
      readonly type: "With";
      readonly targets: readonly Target[];
      readonly values: readonly Expression[];
      readonly body: Body;
      readonly line: number;
    }
  | { readonly type: "Set"; readonly target: Target; readonly value: Expression; readonly line: number }
  | { readonly type: "SetBlock"; readonly target: Target; readonly filter: Filter | null; readonly body: Body; readonly line: number }
  | { readonly type: "Autoescape"; readonly value: Expression; readonly body: Body; readonly line: number }
  | { readonly type: "Generation"; readonly body: Body; readonly line: number }
  | { readonly type: "Block"; readonly name: string; readonly scoped: boolean; readonly body: Body; readonly line: number }
  | { readonly type: "Break" | "Continue"; readonly line: number }
  | {
      readonly type: "Refused";
      readonly kind: string;
      readonly reason: string;
      readonly parts: readonly Expression[];
      readonly line: number;
    };

/** One test of an `if` and what follows when it holds. */
export interface Branch {
  readonly test: Expression;
  readonly body: Body;
}
