# weir: build, test, install. `make help` lists the targets. Quiet unless V=1.
# SPDX-License-Identifier: GPL-2.0

B       := .build
VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=

CC        ?= gcc
CLANG     ?= $(shell command -v clang-19 || command -v clang || echo clang)
BPFTOOL   ?= $(shell PATH=$$PATH:/usr/sbin:/sbin command -v bpftool || echo bpftool)
MULTIARCH := $(shell gcc -print-multiarch 2>/dev/null)

WARN    := -Wall -Wextra -Werror
CFLAGS  ?= -O2 -g
LIBS    := -lxdp -lbpf -lnl-route-3 -lnl-3 -ljansson -lpcap -lelf -lz
CPPFLAGS_ALL := -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"' -I$(B) -I/usr/include/libnl3
CFLAGS_ALL   := -std=gnu11 $(WARN) -Wmissing-prototypes -Wstrict-prototypes $(CFLAGS)
BPF_CFLAGS   := -O2 -g -target bpf -mcpu=v3 -D__bpf__ $(WARN) -Wno-unused-function -I/usr/include/$(MULTIARCH)

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n'
endif

LIB_DIRS  := lang compile kernel out
LIB_SRC   := $(wildcard $(LIB_DIRS:%=ctl/%/*.c))
CMD_SRC   := $(wildcard ctl/*.c ctl/cmd/*.c)
TEST_SRC  := $(wildcard ctl/tests/t-*.c)
THELP_SRC := $(filter-out $(TEST_SRC),$(wildcard ctl/tests/*.c))
FUZZ_SRC  := $(wildcard ctl/fuzz/*.c)
BPF_ENTRY := $(wildcard bpf/*.bpf.c)
BPF_WEIR  := $(filter-out bpf/probe.bpf.c,$(BPF_ENTRY))

LIB_OBJ   := $(LIB_SRC:%.c=$(B)/%.o)
CMD_OBJ   := $(CMD_SRC:%.c=$(B)/%.o)
THELP_OBJ := $(THELP_SRC:%.c=$(B)/%.o)
TESTS     := $(TEST_SRC:ctl/tests/%.c=$(B)/tests/%)
SKELS     := $(B)/weir.skel.h $(B)/probe.skel.h

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help

all: $(B)/weir ## build the command, its BPF programs inside it

help: ## this list
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- BPF: two entry files, linked to one object, made into a skeleton ----

$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(say) BPF $<
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(B)/weir.bpf.o: $(BPF_WEIR:bpf/%.bpf.c=$(B)/bpf/%.bpf.o)
	$(say) LINK $@
	$(Q)$(BPFTOOL) gen object $@ $^

$(B)/probe.bpf.o: $(B)/bpf/probe.bpf.o
	$(Q)$(BPFTOOL) gen object $@ $^

$(B)/%.skel.h: $(B)/%.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

# ---- the command ----

$(B)/ctl/%.o: ctl/%.c | $(SKELS)
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(SAN) -MMD -MP -c $< -o $@

$(B)/ctl/kernel/%.o: $(SKELS)

$(B)/libweir.a: $(LIB_OBJ)
	$(say) AR $@
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/weir: $(CMD_OBJ) $(B)/libweir.a
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(SAN) -o $@ $(CMD_OBJ) $(B)/libweir.a $(LIBS)

# ---- tests ----

$(B)/tests/%: $(B)/ctl/tests/%.o $(THELP_OBJ) $(B)/libweir.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(SAN) -o $@ $< $(THELP_OBJ) $(B)/libweir.a $(LIBS)

clean: ## remove what was built
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
