#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# What "make bench" does in the guest, in the folder of the kselftest programs.

echo never >/sys/kernel/mm/transparent_hugepage/enabled
exec ./palloc_bench all
