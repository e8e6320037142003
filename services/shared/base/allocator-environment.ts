/**
 * The environment in which a process that computes runs best with glibc: its memory lies on huge pages where the kernel has
 * them. Freed memory is given back as glibc does by itself: a teacher or a learner that keeps it all (MALLOC_TRIM_THRESHOLD_,
 * MALLOC_MMAP_MAX_=0) holds its peak for good.
 *
 * It must be there before the process starts. What the user has set stays; other C libraries don't read it.
 *
 * @param env the environment that the process would have
 */
export const allocatorEnvironment = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv => ({
  GLIBC_TUNABLES: env.GLIBC_TUNABLES || "glibc.malloc.hugetlb=1",
});
