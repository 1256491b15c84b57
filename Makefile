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
LIBS    := -lxdp -lbpf -lcap-ng -lnl-route-3 -lnl-idiag-3 -lnl-3 -ljansson -lelf -lz -lm
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
TEST_BPF  := $(wildcard ctl/tests/*.bpf.c)
TEST_SRC  := $(filter-out $(TEST_BPF),$(wildcard ctl/tests/t-*.c))
THELP_SRC := $(filter-out $(TEST_SRC) $(TEST_BPF),$(wildcard ctl/tests/*.c))
FUZZ_SRC  := $(wildcard ctl/fuzz/*.c)
BPF_ENTRY := $(wildcard bpf/*.bpf.c)
BPF_ALONE := bpf/probe.bpf.c bpf/learn.bpf.c
BPF_WEIR  := $(filter-out $(BPF_ALONE),$(BPF_ENTRY))

LIB_OBJ   := $(LIB_SRC:%.c=$(B)/%.o)
CMD_OBJ   := $(CMD_SRC:%.c=$(B)/%.o)
THELP_OBJ := $(THELP_SRC:%.c=$(B)/%.o)
TESTS     := $(TEST_SRC:ctl/tests/%.c=$(B)/tests/%)
SKELS     := $(B)/weir.skel.h $(BPF_ALONE:bpf/%.bpf.c=$(B)/%.skel.h)
TEST_SKEL := $(TEST_BPF:ctl/tests/%.bpf.c=$(B)/tests/%.skel.h)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help

all: $(B)/weir ## build the command, its BPF programs inside it

help: ## this list
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- BPF: the entry files of the data path linked to one object, the others alone, each made into a skeleton ----

$(B)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(say) BPF $<
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(B)/weir.bpf.o: $(BPF_WEIR:bpf/%.bpf.c=$(B)/bpf/%.bpf.o)
	$(say) LINK $@
	$(Q)$(BPFTOOL) gen object $@ $^

$(BPF_ALONE:bpf/%.c=$(B)/%.o): $(B)/%.bpf.o: $(B)/bpf/%.bpf.o
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
	$(Q)rm -f $@ && ar qcs $@ $^

# What tests take from the commands: each links what it names.
$(B)/libcmd.a: $(filter-out $(B)/ctl/main.o,$(CMD_OBJ))
	$(say) AR $@
	$(Q)rm -f $@ && ar qcs $@ $^

$(B)/weir: $(CMD_OBJ) $(B)/libweir.a
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(SAN) -o $@ $(CMD_OBJ) $(B)/libweir.a $(LIBS)

# ---- tests; t-NAME-bpf.c runs the program NAME.bpf.c ----

$(B)/ctl/tests/%.bpf.o: ctl/tests/%.bpf.c
	@mkdir -p $(@D)
	$(say) BPF $<
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(TEST_SKEL): $(B)/tests/%.skel.h: $(B)/ctl/tests/%.bpf.o
	@mkdir -p $(@D)
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf > $@

$(TEST_SRC:%.c=$(B)/%.o): | $(TEST_SKEL)

$(B)/tests/%: $(B)/ctl/tests/%.o $(THELP_OBJ) $(B)/libcmd.a $(B)/libweir.a
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(SAN) -o $@ $< $(THELP_OBJ) $(B)/libcmd.a $(B)/libweir.a $(LIBS)

clean: ## remove what was built
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)

# ---- install, demo, checks ----
# Targets that install first call $(MAKE) again: what this run of make found at its start may be older than that.

N        ?=
T        ?= 60
SUB      := $(MAKE) --no-print-directory
FOREIGN  := $(B)/netns-tests/foreign.bpf.o
NETNSBPF := $(FOREIGN) $(B)/netns-tests/flood.bpf.o
SEND     := $(B)/netns-tests/send
BENCH    := $(B)/bench
MANDIR   ?= $(PREFIX)/share/man
UNITDIR  ?= $(PREFIX)/lib/systemd/system
UNITS    := $(wildcard docs/systemd/*.service)
FUZZ_CC  ?= clang-19

.PHONY: bench bench-build
.PHONY: deps demo tests check check-unit check-bpf check-netns check-asan differential sequence
.PHONY: soak soak-apply soak-kill soak-state soak-vm lint fmt fuzz verifier abi install uninstall

deps: ## install what is missing to build and test (Debian, as root)
	@netns-tests/deps.sh

demo: ## as root: build, and watch a small world being guarded
	@netns-tests/deps.sh
	@$(SUB) all
	@netns-tests/demo.py
	@netns-tests/demo_guard.py

tests: $(TESTS) $(NETNSBPF) $(SEND) ## build what the tests need

$(NETNSBPF): $(B)/netns-tests/%.bpf.o: netns-tests/%.bpf.c
	@mkdir -p $(@D)
	$(say) BPF $<
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(SEND): $(wildcard netns-tests/send/*.[ch])
	@mkdir -p $(@D)
	$(say) CC $@
	$(Q)$(CC) -D_GNU_SOURCE $(CFLAGS_ALL) -o $@ $(filter %.c,$^)

check: ## as root: install, build, run all tests; the last line is the total
	@netns-tests/deps.sh
	@$(SUB) all tests
	@docs/map-abi.py --check
	@netns-tests/run

check-unit: all tests ## the unit tests that need no root
	@netns-tests/run unit

check-bpf: all tests ## as root: the unit tests that run the BPF programs
	@netns-tests/run bpf

check-netns: all $(NETNSBPF) $(SEND) ## as root: the whole system in network namespaces
	@netns-tests/run netns

check-asan: ## the unit tests under AddressSanitizer and UBSan
	@$(SUB) B=$(B)/asan SAN='-fsanitize=address,undefined -fno-omit-frame-pointer -Wno-format-overflow' all tests
	@B=$(B)/asan netns-tests/run unit bpf

differential: all tests ## as root: XDP = TC = model on N random packets, 500 a policy (N=1000000)
	@$(B)/tests/t-differential $$(($(or $(N),1000000) / 500)) 500 $(SEED)

sequence: all tests ## as root: the same of random conversations: flows, limits (N=500000)
	@$(B)/tests/t-sequence $$(($(or $(N),500000) / 500)) 500 $(SEED)

soak: ## as root: the long forms of the tests
	@$(SUB) soak-apply soak-kill soak-state

soak-apply: all ## as root: 2000 applies under traffic that only a mixture or a gap would let through or lose
	@N=$(or $(N),2000) netns-tests/run -v swap

soak-kill: all ## as root: kill -9 at 300 random moments of apply and set load
	@N=$(or $(N),300) netns-tests/run -v kill

soak-state: all ## as root: 500 connections that live through 2 times 120 seconds of applies, growing and kills
	@N=$(or $(N),120) netns-tests/run -v 'state survive'

soak-vm: all $(FOREIGN) ## the smoke test on other kernels: WEIR_VM=path of a runner `-k VERSION -- COMMAND`
	@netns-tests/soak-vm.sh

lint: ## include arrows, format, cppcheck, shellcheck, manual pages, docs/map-abi.md
	@netns-tests/deps.sh lint
	@$(SUB) $(SKELS)
	@B=$(B) netns-tests/lint.sh

bench: ## as root: what weir costs, beside its peers, into docs/performance.md; QUICK=1: small, to try the bench
	@netns-tests/deps.sh bench
	@$(SUB) bench-build
	@netns-tests/bench/run $(if $(QUICK),--smoke,--report docs) $(CASES)

bench-build: all $(BENCH)/drive $(BENCH)/timed $(BENCH)/oracle $(BENCH)/calls ## build the bench; then netns-tests/bench/run --quick

$(BENCH)/%.bpf.o: netns-tests/bench/%.bpf.c
	@mkdir -p $(@D)
	$(say) BPF $<
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(BENCH)/%.skel.h: $(BENCH)/%.bpf.o
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(BENCH)/drive: $(wildcard netns-tests/bench/drive*.c netns-tests/bench/*.h) $(BENCH)/scaffold.skel.h $(BENCH)/tables.skel.h
	$(say) CC $@
	$(Q)$(CC) -I$(BENCH) -D_GNU_SOURCE $(CFLAGS_ALL) -o $@ $(filter %.c,$^) -lbpf -lelf -lz

$(BENCH)/%: netns-tests/bench/%.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) -D_GNU_SOURCE $(CFLAGS_ALL) -MMD -MP -o $@ $<

fmt: ## clang-format over bpf/, ctl/ and netns-tests/
	@clang-format-19 -i $$(git ls-files 'bpf/*.[ch]' 'ctl/*.[ch]' 'netns-tests/*.[ch]')

fuzz: ## libFuzzer on the rule language for T seconds (T=60)
	@netns-tests/deps.sh fuzz
	@mkdir -p $(B)/fuzz/corpus
	@cp -n rules/*.rules $(wildcard ctl/tests/lang/*.rules ctl/tests/lang/*/*.rules) $(B)/fuzz/corpus/ 2>/dev/null || true
	$(say) FUZZ ctl/fuzz/fuzz-lang.c
	$(Q)$(FUZZ_CC) -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $(CPPFLAGS_ALL) \
		-o $(B)/fuzz/lang ctl/fuzz/fuzz-lang.c $(wildcard ctl/lang/*.c)
	@$(B)/fuzz/lang -max_total_time=$(T) -timeout=10 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
		-artifact_prefix=$(B)/fuzz/ $(addprefix -dict=,$(wildcard ctl/fuzz/*.dict)) $(B)/fuzz/corpus

verifier: all ## as root: load every program here and print its verified instructions
	@$(B)/weir verifier

abi: ## write docs/map-abi.md again, from the headers of bpf/
	@docs/map-abi.py >docs/map-abi.md.new && mv docs/map-abi.md.new docs/map-abi.md

install: all ## copy the command, its manual pages and systemd units below DESTDIR and PREFIX (/usr/local)
	install -D -m 755 $(B)/weir $(DESTDIR)$(PREFIX)/sbin/weir
	for page in $(wildcard docs/*.[1-9]); do \
		install -D -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; done
	for unit in $(UNITS); do \
		install -D -m 644 $$unit $(DESTDIR)$(UNITDIR)/$${unit##*/} && \
		sed -i 's|=/usr/local/sbin/|=$(PREFIX)/sbin/|' $(DESTDIR)$(UNITDIR)/$${unit##*/} || exit 1; done

uninstall: ## remove what install copied
	rm -f $(DESTDIR)$(PREFIX)/sbin/weir $(foreach p,$(notdir $(wildcard docs/*.[1-9])),$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(p)))/$(p)) \
		$(addprefix $(DESTDIR)$(UNITDIR)/,$(notdir $(UNITS)))
