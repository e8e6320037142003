/**
 * What glibc is told: memory lies on huge pages where the kernel has them; and small freed pieces aren't kept apart, but joined to what is
 * free beside them. The runtime takes aligned blocks, of which such pieces are cut off: where these stay apart, a block that was freed
 * isn't large enough for the next of its size, and layer after layer takes new memory, up to as much as the weights.
 */
export const allocatorTunables = "glibc.malloc.hugetlb=1:glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0";

/**
 * The environment in which a process that computes runs best with glibc. Freed memory is given back as glibc does by itself: a teacher or
 * a learner that keeps it all (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_MAX_=0) holds its peak for good.
 *
 * It must be there before the process starts. What the user has set stays; other C libraries don't read it.
 *
 * @param env the environment that the process would have
 */
export const allocatorEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  GLIBC_TUNABLES: env.GLIBC_TUNABLES || allocatorTunables,
});
