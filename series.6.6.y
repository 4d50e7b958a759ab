# palloc for late stable kernels of 6.6, in order. Those of patches/ are v6.6's and apply as
# they are; those of patches.6.6.y/ stand for v6.6's of the same name.

# -- Colors, and free pages by their colors
patches/0001-mm-palloc-page-colors-linear-in-the-address.patch
patches/0002-mm-palloc-index-free-blocks-by-the-colors-they-hold.patch
patches/0003-mm-palloc-configure-the-color-map-through-debugfs.patch
patches/0004-mm-palloc-a-cgroup-controller.patch
patches.6.6.y/0005-mm-page_alloc-allocate-pages-of-their-owner-s-colors.patch
patches/0006-mm-page_alloc-be-calm-when-a-color-runs-out.patch
patches.6.6.y/0007-mm-page_alloc-per-CPU-lists-of-colored-pages.patch
patches.6.6.y/0008-mm-MAP_PALLOC-marks-regions-with-their-own-colors.patch

# -- For programs: system calls
patches/0009-mm-palloc-set_color-and-set_color_map.patch
patches/0010-arm64-wire-up-set_color-and-set_color_map.patch
patches/0011-mm-huge_memory-no-huge-pages-that-would-break-colors.patch
patches/0012-mm-swap_state-no-readahead-for-who-has-colors.patch

# -- Fixes that stand alone
patches/0013-tracing-expand-the-buffer-in-trace_set_clr_event.patch
patches/0014-mm-palloc-trace-what-is-allocated-by-color.patch
patches/0015-mm-palloc-a-policy-for-colors-that-run-out.patch
patches/0016-mm-palloc-verify-the-index-the-lists-and-counters.patch

# -- Tests, tools and documentation
patches/0017-mm-palloc-test-allocation-next-to-other-users.patch
patches.6.6.y/0018-mm-palloc-migrated-pages-keep-their-colors.patch
patches/0019-mm-palloc-recolor-pages-that-are-there-already.patch
patches/0020-mm-swapfile-don-t-unlock-an-error-pointer.patch
patches/0021-mm-swap-map-no-page-of-another-color.patch
patches/0022-mm-shmem-count-a-replaced-page-as-swap-cache.patch
patches.6.6.y/0023-mm-filemap-mm-shmem-color-what-a-cgroup-brings-in.patch
patches/0024-mm-palloc-drop-page-cache-of-a-color-that-ran-out.patch
patches.6.6.y/0025-mm-MAP_PALLOC-for-shared-anonymous-memory.patch
patches/0026-mm-ksm-don-t-merge-colored-pages.patch
patches/0027-mm-palloc-pinned-pages-are-copied-for-the-child.patch
patches/0028-mm-huge_memory-THPeligible-of-colored-memory.patch
patches/0029-mm-migrate_device-pinned-pages-keep-their-colors.patch
patches/0030-mm-palloc-which-bins-a-page-can-t-be-told-apart-by.patch
patches/0031-mm-palloc-tell-in-sysfs-what-a-map-means.patch
patches/0032-mm-palloc-llc-and-l2-as-names-of-maps.patch
patches/0033-mm-palloc-boot-parameters.patch
patches/0034-mm-palloc-trace-what-is-recolored-and-what-runs-out.patch
patches/0035-mm-palloc-what-applies-follows-the-map.patch
patches/0036-mm-palloc-count-what-a-cgroup-is-given.patch
patches/0037-mm-palloc-let-a-cgroup-confine-its-members.patch
patches.6.6.y/0038-mm-palloc-MAP_PALLOC-for-all-memory-to-come.patch
patches/0039-mm-page_alloc-a-CPU-s-colored-pages-come-first.patch
patches/0040-mm-page_alloc-find-many-blocks-of-a-color-at-once.patch
patches/0041-tools-mm-a-library-to-preload-for-page-coloring.patch
patches/0042-tools-mm-palloc-a-tool-for-page-coloring.patch
patches/0043-selftests-palloc-test-page-coloring.patch
patches/0044-Documentation-page-coloring.patch
