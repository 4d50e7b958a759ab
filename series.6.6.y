# palloc for late stable kernels of 6.6, in order. Those of patches/ are v6.6's and apply as
# they are; those of patches.6.6.y/ stand for v6.6's of the same name.

# -- Fixes that stand alone
patches/0001-tracing-expand-the-buffer-in-trace_set_clr_event.patch
patches/0002-mm-swapfile-don-t-unlock-an-error-pointer.patch
patches/0003-mm-shmem-count-a-replaced-page-as-swap-cache.patch

# -- No change of behaviour: what comes later needs it
patches/0004-mm-shmem-pass-the-VMA-to-where-a-folio-is-allocated.patch

# -- Colors, and free pages by their colors
patches/0005-mm-palloc-page-colors-linear-in-the-address.patch
patches.6.6.y/0006-mm-room-for-page-coloring-in-structures.patch
patches/0007-mm-palloc-index-free-blocks-by-the-colors-they-hold.patch
patches/0008-mm-palloc-lists-of-colored-pages-for-each-CPU.patch
patches.6.6.y/0009-mm-page_alloc-keep-the-index-and-colored-lists.patch

# -- Who has colors: cgroups, regions of a process, address spaces
patches/0010-mm-palloc-cgroups-that-have-colors.patch
patches.6.6.y/0011-mm-MAP_PALLOC-marks-regions-with-their-own-colors.patch
patches/0012-mm-palloc-an-mm-belongs-to-a-cgroup.patch

# -- Allocation: whose colors, which pages, and anonymous memory as the first user
patches/0013-mm-palloc-whose-colors-and-what-if-they-have-run-out.patch
patches/0014-mm-palloc-take-colored-pages-off-the-free-lists.patch
patches/0015-mm-anonymous-memory-in-its-owner-s-colors.patch

# -- Control: the map in force, debugfs, boot parameters, sysfs
patches/0016-mm-palloc-bring-a-map-into-force-verify-the-index.patch
patches/0017-mm-palloc-configure-the-color-map-through-debugfs.patch
patches/0018-mm-palloc-tell-in-sysfs-what-a-map-means.patch

# -- All other ways that a page comes to somebody, or is replaced
patches/0019-mm-huge-pages-swap-and-KSM-keep-to-colors.patch
patches.6.6.y/0020-mm-filemap-mm-shmem-color-what-a-cgroup-brings-in.patch
patches/0021-mm-palloc-recolor-pages-that-are-there-already.patch
patches/0022-mm-migrated-pages-keep-their-colors.patch

# -- For programs: system calls
patches/0023-mm-palloc-set_color-and-set_color_map.patch
patches/0024-arm64-wire-up-set_color-and-set_color_map.patch

# -- Tests, tools and documentation
patches/0025-mm-palloc-test-allocation-next-to-other-users.patch
patches/0026-tools-mm-palloc-a-tool-for-page-coloring.patch
patches/0027-selftests-palloc-test-page-coloring.patch
patches/0028-Documentation-page-coloring.patch
