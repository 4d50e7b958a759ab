# SPDX-License-Identifier: GPL-2.0
# palloc for Linux: apply, build, boot, test. The work is in scripts/.

BUILD ?= build
# Kbuild does not take paths with spaces either
$(foreach v,BUILD LINUX BRANCH_DIR KCONFIG,\
	$(if $(filter-out 0 1,$(words $($(v)))),$(error $(v): a path without spaces is needed)))
$(if $(BUILD),,$(error BUILD: a path is needed))
override BUILD := $(abspath $(BUILD))
START := $(shell date +%s)
export BUILD START
ifdef JOBS
export JOBS
endif
ifdef LINUX
override LINUX := $(abspath $(LINUX))
export LINUX
endif
ifdef BASE
export BASE
export WHOLE := yes
endif
ifneq ($(filter-out x86 x86_64,$(ARCH)),)
$(foreach t,bench bench-more stress upstream-tests check-prefixes check-configs test-matrix evidence deb,\
	$(if $(filter $(t),$(MAKECMDGOALS)),$(error $(t) is for ARCH=x86 only)))
endif
ifdef ARCH
export ARCH
endif
ifdef BRANCH_DIR
override BRANCH_DIR := $(abspath $(BRANCH_DIR))
export BRANCH_DIR
endif
ifdef KCONFIG
override KCONFIG := $(abspath $(KCONFIG))
export KCONFIG
endif
ifdef TESTS
export TESTS
endif
ifdef MINUTES
export MINUTES
endif

.PHONY: help deps tree kernel demo test check test-guest test-debug test-variants \
	test-matrix check-prefixes check-configs stress upstream-tests shell bench bench-more \
	evidence patches branch deb tools clean
.NOTPARALLEL:

help:
	@echo 'palloc for Linux v6.6, and 6.12 as Debian has it'
	@echo
	@echo 'To see it work:'
	@echo '  demo            build the patched kernel, boot it in QEMU, show pages being colored'
	@echo '  test            everything below check, test-guest, test-debug and test-variants'
	@echo
	@echo 'Parts of it:'
	@echo '  deps            install what is missing here, through apt'
	@echo '  tree            the patched source, in BUILD/linux'
	@echo '  kernel          the kernel of the test guest, in BUILD/guest'
	@echo '  shell           boot that kernel, with a shell in the guest'
	@echo '  check           what needs no kernel build: does the series apply, is it clean'
	@echo '  test-guest      KUnit and kselftests in the guest'
	@echo '  test-debug      the same in a guest with lockdep, KASAN and more'
	@echo '  test-variants   some of it with other zones, nodes and boot parameters'
	@echo '  test-matrix     what shows that every path keeps its color, in both guests with 1'
	@echo '                  and 4 CPUs, 1 and 2 nodes'
	@echo '  check-prefixes  build every prefix of the series with palloc on and off'
	@echo '  check-configs   build it where it has less around it: 32 bits, one CPU, no swap ...,'
	@echo '                  with clang and sparse; not part of test'
	@echo '  stress          MINUTES of stress-ng in colored cgroups, with all colors checked'
	@echo '  upstream-tests  the kernel'"'"'s own tests of mm and cgroup, here and on a stock kernel'
	@echo '  bench           cost per page next to a stock kernel'
	@echo '  bench-more      use of zone->lock, growth with colors and memory, map changes,'
	@echo '                  compaction'
	@echo '  evidence        what coloring does to row conflicts, evictions and slowdown, with'
	@echo '                  banks and caches modelled: a report in BUILD/evidence'
	@echo
	@echo 'For real machines:'
	@echo '  scripts/apply.sh DIR   apply the series to your own tree, v6.6 or 6.12'
	@echo '  deb             kernel packages to install, in BUILD/deb'
	@echo '  tools           the tool palloc, for the machine that this runs on, in BUILD/tools'
	@echo
	@echo 'To work on the series:'
	@echo '  branch          the series as commits on branch palloc, in BRANCH_DIR'
	@echo '  patches         export that branch to patches/ and series'
	@echo '  clean           remove BUILD'
	@echo
	@echo 'Variables:'
	@echo '  BASE=NAME       the kernel to patch: v6.6, or debian, which is 6.12 from the'
	@echo '                  package linux-source-6.12 (default: what LINUX is, else v6.6 if'
	@echo '                  it is in the cache or kernel.org answers, else debian)'
	@echo '  ARCH=arm64      have the guest be an arm64 one, built in BUILD/arm64 (default: x86)'
	@echo '  LINUX=DIR       an unpatched tree of it (default: the cache, else a download)'
	@echo '  BUILD=DIR       where everything is built (default: build)'
	@echo '  JOBS=N          parallel jobs (default: the number of CPUs)'
	@echo '  TESTS="A B"     only these kselftests'
	@echo '  MINUTES=N       how long stress takes, in the guest (default: 30)'
	@echo '  KCONFIG=FILE    the configuration for deb (default: the running kernel'"'"'s)'
	@echo '  BRANCH_DIR=DIR  the git repository for branch and patches (default: BUILD/branch)'

deps:
	@scripts/deps.sh

tree:
	@scripts/tree.sh patched

kernel: deps tree
	@scripts/kernel.sh guest patched guest palloc kunit

demo: deps kernel
	@scripts/demo.sh

test: deps
	@scripts/test.sh check guest debug variants

check:
	@scripts/test.sh check

test-guest: deps
	@scripts/test.sh guest

test-debug: deps
	@scripts/test.sh debug

test-variants: deps
	@scripts/test.sh variants

test-matrix: deps
	@scripts/test.sh matrix

shell: deps kernel
	@scripts/demo.sh shell

check-prefixes: deps
	@scripts/check-prefixes.sh

check-configs:
	@scripts/deps.sh clang lld llvm sparse
	@scripts/check-configs.sh

stress:
	@scripts/deps.sh stress-ng
	@scripts/stress.sh

upstream-tests:
	@scripts/deps.sh libcap-dev libnuma-dev liburing-dev
	@scripts/upstream.sh

bench: deps
	@scripts/bench.sh

bench-more: deps
	@scripts/bench.sh more

evidence:
	@scripts/deps.sh gnuplot-nox sqlite3
	@scripts/tree.sh patched
	@scripts/kernel.sh guest patched guest palloc kunit
	@scripts/evidence.sh

patches:
	@scripts/patches.sh export

branch: deps
	@scripts/patches.sh import

deb: deps
	@scripts/deb.sh

tools:
	@scripts/tools.sh

clean:
	@scripts/clean.sh
