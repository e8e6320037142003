import koffi from "koffi";

/** Its calls run on stacks of their own, which are made for small functions: in bytes, of a call here and of one on another thread. */
const stacks = { sync_stack_size: 8 << 20, async_stack_size: 8 << 20 };

// It can be told before the first library is loaded, and once in a process.
if (koffi.config().async_stack_size !== stacks.async_stack_size) koffi.config(stacks);

/** What calls functions of native libraries. */
export default koffi;
