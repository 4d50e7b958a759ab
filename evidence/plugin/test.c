// SPDX-License-Identifier: GPL-2.0
/*
 * Plays QEMU to the plugin: plugin_test PLUGIN.so DIR. With NEW defined, that of version 4 of
 * the interface, which is of QEMU 10, else that of version 1, of QEMU 7.2. What the plugin
 * writes is looked at by check.sh.
 */

#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define MAX_INSNS 8

struct insn {
	uint8_t bytes[8];
	size_t size;
	uint64_t vaddr;
	void (*exec)(unsigned int vcpu, void *data);
	void *exec_data;
	void (*mem)(unsigned int vcpu, uint32_t info, uint64_t vaddr, void *data);
	void *mem_data;
};

struct tb {
	struct insn insn[MAX_INSNS];
	size_t nr;
	void (*exec)(unsigned int vcpu, void *data);
	void *data;
};

static void (*translate)(uint64_t id, struct tb *tb);
static void (*at_exit)(uint64_t id, void *data);
static void (*pending)(uint64_t id);
static uint64_t physical;
static bool device;

EXPORT void qemu_plugin_reset(uint64_t id, void (*cb)(uint64_t id))
{
	translate = NULL;
	at_exit = NULL;
	pending = cb;
}

EXPORT void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*cb)(uint64_t, struct tb *))
{
	translate = cb;
}

EXPORT void qemu_plugin_register_atexit_cb(uint64_t id, void (*cb)(uint64_t, void *), void *data)
{
	at_exit = cb;
}

EXPORT void qemu_plugin_register_vcpu_tb_exec_cb(struct tb *tb, void (*cb)(unsigned int, void *),
						 int flags, void *data)
{
	tb->exec = cb;
	tb->data = data;
}

EXPORT void qemu_plugin_register_vcpu_insn_exec_cb(struct insn *insn,
						   void (*cb)(unsigned int, void *),
						   int flags, void *data)
{
	insn->exec = cb;
	insn->exec_data = data;
}

EXPORT void qemu_plugin_register_vcpu_mem_cb(struct insn *insn,
					     void (*cb)(unsigned int, uint32_t, uint64_t, void *),
					     int flags, int rw, void *data)
{
	insn->mem = cb;
	insn->mem_data = data;
}

EXPORT size_t qemu_plugin_tb_n_insns(const struct tb *tb)
{
	return tb->nr;
}

EXPORT struct insn *qemu_plugin_tb_get_insn(struct tb *tb, size_t i)
{
	return &tb->insn[i];
}

EXPORT size_t qemu_plugin_insn_size(const struct insn *insn)
{
	return insn->size;
}

EXPORT uint64_t qemu_plugin_insn_vaddr(const struct insn *insn)
{
	return insn->vaddr;
}

#ifdef NEW
EXPORT size_t qemu_plugin_insn_data(const struct insn *insn, void *to, size_t size)
{
	if (size > insn->size)
		size = insn->size;
	memcpy(to, insn->bytes, size);
	return size;
}

EXPORT int qemu_plugin_num_vcpus(void)
{
	return 2;
}
#else
EXPORT const void *qemu_plugin_insn_data(const struct insn *insn)
{
	return insn->bytes;
}
#endif

EXPORT bool qemu_plugin_mem_is_store(uint32_t info)
{
	return info & 1;
}

EXPORT void *qemu_plugin_get_hwaddr(uint32_t info, uint64_t vaddr)
{
	return &physical;
}

EXPORT bool qemu_plugin_hwaddr_is_io(const void *hwaddr)
{
	return device;
}

EXPORT uint64_t qemu_plugin_hwaddr_phys_addr(const void *hwaddr)
{
	return physical;
}

static void execute(unsigned int vcpu, struct tb *tb, uint64_t address, bool store, bool kernel)
{
	struct insn *last = &tb->insn[tb->nr - 1];

	if (tb->exec)
		tb->exec(vcpu, tb->data);
	physical = address;
	/* A mark has none, though it looks like it */
	if (last->mem && last->size != 8)
		last->mem(vcpu, store, kernel ? 0xffff888000000000 + address : address,
			  last->mem_data);
	if (last->exec)
		last->exec(vcpu, last->exec_data);
	if (pending) {
		void (*cb)(uint64_t id) = pending;

		pending = NULL;
		cb(1);
	}
}

/* A block of nr instructions, of which the last one is accesses memory, or is a mark */
static struct tb *block(size_t nr, int mark)
{
	static const uint8_t bytes[8] = { 0x0f, 0x1f, 0x84, 0, 0, 0x70, 0x61, 0x6c };
	struct tb *tb = calloc(1, sizeof(*tb));
	size_t i;

	if (!tb || nr > MAX_INSNS)
		exit(2);
	tb->nr = nr;
	for (i = 0; i < nr; i++)
		tb->insn[i] = (struct insn){ .size = 3, .vaddr = 0x1000 + 3 * i };
	if (mark) {
		memcpy(tb->insn[nr - 1].bytes, bytes, 8);
		tb->insn[nr - 1].bytes[4] = mark;
		tb->insn[nr - 1].size = 8;
	}
	translate(1, tb);
	return tb;
}

int main(int argc, char **argv)
{
	struct {
		const char *target_name;
		struct {
			int min, cur;
		} version;
		bool system_emulation;
		int smp_vcpus, max_vcpus;
#ifdef NEW
	} info = { "x86_64", { 2, 4 }, true, 2, 2 };
#else
	} info = { "x86_64", { 0, 1 }, true, 2, 2 };
#endif
	int (*install)(uint64_t id, const void *info, int argc, char **argv);
	char *args[3] = {}, out[4096];
	struct tb *early, *one, *three;
	void *plugin;
	int *version, i;

	if (argc != 3)
		return 2;
	plugin = dlopen(argv[1], RTLD_NOW);
	if (!plugin) {
		fprintf(stderr, "%s\n", dlerror());
		return 2;
	}
	version = dlsym(plugin, "qemu_plugin_version");
	if (*version < info.version.min || *version > info.version.cur) {
		fprintf(stderr, "version %d is refused\n", *version);
		return 2;
	}
	install = dlsym(plugin, "qemu_plugin_install");
	snprintf(out, sizeof(out), "out=%s", argv[2]);
	args[0] = out;
	/* Two lines, of one set */
	args[1] = "l1_kib=1";
	args[2] = "l1_ways=16";
	if (install(1, &info, 3, args))
		return 2;

	/* Nothing is recorded, nor instrumented, before a mark */
	early = block(3, 0);
	if (early->exec || early->insn[2].mem)
		return 3;
	execute(0, early, 0, false, false);
	execute(0, block(1, 1), 0, false, false);
	one = block(1, 0);
	three = block(3, 0);
	if (!one->exec || !one->insn[0].mem)
		return 3;
	/* Instructions 0, 3, which hits, and 6 */
	execute(0, one, 0x40, false, false);
	execute(0, three, 0x44, true, false);
	execute(0, three, 0x80, false, true);
	/* Not what is a device's */
	device = true;
	execute(0, one, 0x1000, false, false);
	device = false;
	/* Fill the set, so that the line that was written to goes */
	for (i = 0; i < 15; i++)
		execute(0, one, 0x10000 + 64 * i, false, false);
	execute(1, three, 0x2000, true, false);
	execute(0, block(1, 2), 0, false, false);
	/* After its end */
	execute(0, one, 0x3000, false, false);
	execute(1, one, 0x4000, false, false);
	execute(1, block(1, 3), 0, false, false);
	execute(1, one, 0x5000, false, false);
	/* Not in a recording: this is quiet */
	at_exit(1, NULL);
	/* The second, and a guest that ends in it */
	execute(1, block(1, 1), 0, false, false);
	execute(1, one, 0x6000, false, false);
	at_exit(1, NULL);
	return 3;
}
