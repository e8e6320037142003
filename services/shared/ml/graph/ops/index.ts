export * from "./activations.js";
export * from "./broadcast.js";
export * from "./control.js";
export * from "./elementwise.js";
export * from "./fused.js";
export * from "./linear.js";
export * from "./reduce.js";
export * from "./shape.js";
