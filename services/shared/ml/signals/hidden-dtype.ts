/** Element type of hidden states on their way to the learner. */
export type HiddenDtype = "float16" | "float32";

/** The element type of hidden states where none is named. */
export const defaultHiddenDtype: HiddenDtype = "float16";
