# SPDX-License-Identifier: GPL-2.0-or-later
# The only entry. `make help` lists what there is.
#
#   O=DIR       where everything is built (default: build)
#   KVER=...    kernel release(s) to build the module for (default: the running one)
#   DESTDIR=... root that `make install` writes to
#   EMBER_WERROR=y  warnings in the module are errors (the tests build it so)

O       ?= build
KVER    ?= $(shell uname -r)
DESTDIR ?=
V       ?= 0
OBJ     := $(abspath $(O))

VERSION := 0.1.0

CC        ?= cc
CLANG     ?= clang
CLANG_TIDY ?= clang-tidy
BPFTOOL   ?= $(firstword $(wildcard /usr/sbin/bpftool /sbin/bpftool) bpftool)
PKGCONF   ?= pkg-config
ifeq ($(V),0)
Q   := @
msg  = @printf '  %-8s %s\n' "$(1)" "$(2)";
endif

CPPFLAGS += -D_GNU_SOURCE -DEMBER_VERSION='"$(VERSION)"' -I. -Iinclude -Iinclude/uapi -I$(OBJ)
CFLAGS   += -std=gnu17 -O2 -g -Wall -Wextra -Werror -Wshadow -Wformat=2 -Wno-unused-parameter \
	    -Wframe-larger-than=16384 -fstack-protector-strong -D_FORTIFY_SOURCE=2
LDFLAGS  += -Wl,-z,relro,-z,now

.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

##@ Build
.PHONY: all user bpf kmod tests
all: user kmod ## build BPF objects, daemon, helper, emberctl and the module for KVER

help: ## show this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-zA-Z_%-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
.PHONY: help

# --- BPF: one linked object from bpf/*.bpf.c, and its skeleton ---------------------------------
# hands.bpf.c apart: ember works without it, on a kernel that lacks what it attaches to.
BPF_SRC := $(filter-out bpf/hands.bpf.c,$(wildcard bpf/*.bpf.c))
BPF_OBJ := $(BPF_SRC:%.bpf.c=$(OBJ)/%.bpf.o)
SKEL    := $(OBJ)/ember.skel.h
HANDS_SKEL := $(OBJ)/hands.skel.h

BPF_CFLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -Wall -Wextra -Werror \
	-Wno-unused-parameter -Wno-missing-declarations -Iinclude -Ibpf -I$(OBJ)

# Types come from the BTF of any supported kernel: CO-RE adapts them at load time.
VMLINUX_BTF ?= $(firstword $(wildcard $(foreach k,$(KVER),/lib/modules/$(k)/build/vmlinux \
		/usr/src/linux-headers-$(k)/vmlinux)) $(wildcard /sys/kernel/btf/vmlinux))

$(OBJ)/vmlinux.h:
	$(call msg,BTF,$(VMLINUX_BTF))
	@mkdir -p $(@D)
	@[ -n "$(VMLINUX_BTF)" ] || { echo "no kernel BTF: install linux-headers-$(firstword $(KVER)) or set VMLINUX_BTF" >&2; exit 1; }
	$(Q)$(BPFTOOL) btf dump file $(VMLINUX_BTF) format c >$@

$(OBJ)/bpf/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h include/ember/*) $(OBJ)/vmlinux.h
	$(call msg,BPF,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -c $< -o $@

$(OBJ)/ember.bpf.o: $(BPF_OBJ)
	$(call msg,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

$(SKEL): $(OBJ)/ember.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton -L $< name ember >$@

$(HANDS_SKEL): $(OBJ)/bpf/hands.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton -L $< name hands >$@

bpf: $(if $(BPF_SRC),$(SKEL) $(HANDS_SKEL)) ## build the BPF objects and their skeletons only

# --- User space ----------------------------------------------------------------------------------
# Which library each program may use: the same boundaries that `make check` enforces per file.
DAEMON_PKGS := libbpf libnl-genl-3.0 libsystemd json-c
HELPER_PKGS := libsystemd
CTL_PKGS    := libsystemd libnl-genl-3.0

DAEMON_SRC := $(wildcard daemon/*.c)
HELPER_SRC := $(wildcard helper/*.c)
CTL_SRC    := $(wildcard ctl/*.c)
CTL_OBJ    := $(CTL_SRC:%.c=$(OBJ)/%.o) $(OBJ)/daemon/genl.o $(OBJ)/daemon/escape.o # of the daemon: libnl, and safe names

pkg_cflags = $(shell $(PKGCONF) --cflags $(1) 2>/dev/null)
pkg_libs   = $(shell $(PKGCONF) --libs $(1) 2>/dev/null)

$(OBJ)/%.o: %.c
	$(call msg,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(call pkg_cflags,$(DAEMON_PKGS)) -MMD -MP -c $< -o $@

$(OBJ)/daemon/sample.o: $(if $(BPF_SRC),$(SKEL))
$(OBJ)/daemon/watch_hands.o: $(HANDS_SKEL)

$(OBJ)/emberd: $(DAEMON_SRC:%.c=$(OBJ)/%.o)
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(call pkg_libs,$(DAEMON_PKGS)) -lpthread -o $@

$(OBJ)/ember-helper: $(HELPER_SRC:%.c=$(OBJ)/%.o)
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(call pkg_libs,$(HELPER_PKGS)) -o $@

$(OBJ)/emberctl: $(CTL_OBJ)
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(call pkg_libs,$(CTL_PKGS)) -o $@

USER_BIN := $(if $(DAEMON_SRC),$(OBJ)/emberd) $(if $(HELPER_SRC),$(OBJ)/ember-helper) $(if $(CTL_SRC),$(OBJ)/emberctl)
user: $(USER_BIN) ## build everything but the module

# --- Module: kbuild wants its sources in the build directory, one copy per kernel ------------------
# MAKEFLAGS is emptied because our O= on the command line would become kbuild's.
kmod: $(if $(wildcard kmod/Kbuild),$(KVER:%=$(OBJ)/kmod-%/ember.ko)) ## build the module for each kernel in KVER

KMOD_SRC := $(wildcard kmod/*.c kmod/*.h kmod/Kbuild include/uapi/linux/*.h include/ember/*.h)
KMOD_TESTS_SRC := $(wildcard kmod/tests/*.c kmod/tests/Kbuild)

$(OBJ)/kmod-%/ember.ko: $(KMOD_SRC)
	$(call msg,KMOD,$*)
	@[ -e /lib/modules/$*/build ] || { echo "no headers for kernel $*: install linux-headers-$*" >&2; exit 1; }
	$(Q)mkdir -p $(OBJ)/kmod-$* && cp -u --parents $(KMOD_SRC) $(OBJ)/kmod-$*/
	$(Q)MAKEFLAGS= $(MAKE) -s -C /lib/modules/$*/build M=$(OBJ)/kmod-$*/kmod \
		EMBER_INCLUDE=$(OBJ)/kmod-$*/include EMBER_VERSION=$(VERSION) EMBER_WERROR=$(EMBER_WERROR) modules
	$(Q)cp $(OBJ)/kmod-$*/kmod/ember.ko $@

# Modules of their own, in a directory of their own: nothing of ember is needed to build them.
kmod-tests: $(KVER:%=$(OBJ)/kmod-tests-%/built) ## build the modules that only tests use
.PHONY: kmod-tests

$(OBJ)/kmod-tests-%/built: $(KMOD_TESTS_SRC)
	$(call msg,KMOD,$* tests)
	$(Q)mkdir -p $(OBJ)/kmod-tests-$* && cp -u --parents $(KMOD_TESTS_SRC) $(OBJ)/kmod-tests-$*/
	$(Q)MAKEFLAGS= $(MAKE) -s -C /lib/modules/$*/build M=$(OBJ)/kmod-tests-$*/kmod/tests \
		EMBER_WERROR=$(EMBER_WERROR) modules
	$(Q)touch $@

# --- Test programs -----------------------------------------------------------------------------------
# tests/guest/NAME.c and tests/workload/NAME.c become programs of the guest.
LIB_TEST_SRC := $(wildcard tests/lib/*.c)
PURE_WORKLOAD := $(wildcard tests/workload/lib/*.c)
GUEST_BIN := $(patsubst tests/%.c,$(OBJ)/tests/%,$(wildcard tests/guest/*.c tests/workload/*.c))
GUEST_PY_LIB := $(wildcard tests/guest/emberd.py)
GUEST_PY  := $(filter-out $(GUEST_PY_LIB),$(wildcard tests/guest/*.py))
GUEST_PKGS := libbpf libnl-genl-3.0 liburing numa hiredis

$(OBJ)/tests/guest/% $(OBJ)/tests/workload/%: LDLIBS = $(call pkg_libs,$(GUEST_PKGS)) -lpthread -lm

# The daemon's own mover, run by tests.
MOVEPAGES_TESTS := move_pages_floor migrate_races migrate_kinds
$(OBJ)/tests/guest/migrate_speed: $(OBJ)/daemon/mover_cost.o
$(MOVEPAGES_TESTS:%=$(OBJ)/tests/guest/%): $(OBJ)/daemon/movepages.o $(OBJ)/daemon/proc_id.o $(OBJ)/daemon/topology.o
$(OBJ)/tests/guest/%: $(OBJ)/tests/guest/%.o $(LIB_TEST_SRC:%.c=$(OBJ)/%.o) $(if $(BPF_SRC),$(OBJ)/daemon/sample.o)
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

$(OBJ)/tests/workload/%: $(OBJ)/tests/workload/%.o $(PURE_WORKLOAD:%.c=$(OBJ)/%.o)
	$(call msg,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $^ $(LDLIBS) -o $@

tests: $(GUEST_BIN) kmod-tests ## build the programs and modules that run in the test machine

##@ Install
.PHONY: install install-user install-kmod install-tests
install: install-user install-kmod ## install under DESTDIR where a distribution would

install-user: user
	$(if $(DAEMON_SRC),install -D -m 755 $(OBJ)/emberd $(DESTDIR)/usr/sbin/emberd)
	$(if $(HELPER_SRC),install -D -m 755 $(OBJ)/ember-helper $(DESTDIR)/usr/libexec/ember/ember-helper)
	$(if $(CTL_SRC),install -D -m 755 $(OBJ)/emberctl $(DESTDIR)/usr/bin/emberctl)
	$(if $(CTL_SRC),install -D -m 644 ctl/emberctl.bash $(DESTDIR)/usr/share/bash-completion/completions/emberctl)
	$(foreach f,$(wildcard docs/varlink/*.varlink),install -D -m 644 $(f) $(DESTDIR)/usr/share/ember/varlink/$(notdir $(f));)
	install -d -m 755 $(DESTDIR)/etc/ember/policy.d $(DESTDIR)/usr/lib/ember/policy.d
	$(foreach f,$(wildcard policies/*.json),$(if $(filter-out %schema.json,$(f)),install -m 644 $(f) $(DESTDIR)/usr/lib/ember/policy.d/50-$(notdir $(f));))
	$(foreach f,$(wildcard policies/examples/*.json),install -D -m 644 $(f) $(DESTDIR)/usr/share/ember/policies/$(notdir $(f));)
	$(foreach f,$(wildcard systemd/*.service systemd/*.socket),install -D -m 644 $(f) $(DESTDIR)/usr/lib/systemd/system/$(notdir $(f));)
	$(if $(wildcard systemd/ember.sysusers),install -D -m 644 systemd/ember.sysusers $(DESTDIR)/usr/lib/sysusers.d/ember.conf)
	$(if $(wildcard docs/man),for m in docs/man/*.[1-8]; do install -D -m 644 $$m $(DESTDIR)/usr/share/man/man$${m##*.}/$$(basename $$m) || exit 1; done)

install-kmod: kmod
	$(foreach k,$(if $(wildcard kmod/Kbuild),$(KVER)),install -D -m 644 $(OBJ)/kmod-$(k)/ember.ko $(DESTDIR)/lib/modules/$(k)/updates/ember.ko &&) true
	@# modprobe finds what depmod has listed; below a DESTDIR that is the job of the package.
	$(if $(DESTDIR),,$(foreach k,$(KVER),depmod $(k) &&) true)

install-tests: tests
	install -d $(DESTDIR)/usr/lib/ember/tests
	$(foreach k,$(KVER),install -D -m 644 -t $(DESTDIR)/usr/lib/ember/tests/modules/$(k) $(OBJ)/kmod-tests-$(k)/kmod/tests/*.ko &&) true
	$(if $(GUEST_BIN),install -m 755 $(GUEST_BIN) $(DESTDIR)/usr/lib/ember/tests/)
	$(if $(wildcard tests/guest/*.sh),install -m 755 $(wildcard tests/guest/*.sh) $(DESTDIR)/usr/lib/ember/tests/)
	$(if $(GUEST_PY),install -m 755 $(GUEST_PY) $(DESTDIR)/usr/lib/ember/tests/)
	$(if $(GUEST_PY_LIB),install -m 644 $(GUEST_PY_LIB) $(DESTDIR)/usr/lib/ember/tests/)
	$(if $(wildcard tests/demo/*.sh),install -m 755 $(wildcard tests/demo/*.sh) $(DESTDIR)/usr/lib/ember/tests/)

# --- Unit tests: tests/unit/AREA/NAME.c with the pure objects of its area ------------------------
# daemon: all but main() and what needs the kernel at link time (the skeleton).
DAEMON_KERNEL_SRC := $(addprefix daemon/,main.c daemon.c sample.c watch_hands.c engine.c follow.c scan.c move.c report.c)
UNIT_DAEMON_OBJ   := $(patsubst %.c,$(OBJ)/%.o,$(filter-out $(DAEMON_KERNEL_SRC),$(DAEMON_SRC)))
UNIT_CTL_OBJ      := $(filter-out $(OBJ)/ctl/main.o,$(CTL_OBJ))
UNIT_HELPER_OBJ   := $(patsubst %.c,$(OBJ)/%.o,$(filter-out helper/main.c,$(HELPER_SRC)))
UNIT_TIERSCOPE_OBJ :=  # these tests include the source that they test
UNIT_WORKLOAD_OBJ :=  # the same
UNIT_KMOD_OBJ :=  # the same: what of the module is pure
COMMA := ,
UNIT_SRC := $(wildcard tests/unit/*/*.c)
UNIT_BIN := $(patsubst %.c,$(OBJ)/%,$(UNIT_SRC))

define unit_area
$(OBJ)/tests/unit/$(1)/%: $(OBJ)/tests/unit/$(1)/%.o $(2)
	$$(call msg,LD,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) $$^ $$(call pkg_libs,cmocka $$(DAEMON_PKGS)) -lpthread -lm -o $$@
endef
$(eval $(call unit_area,daemon,$(UNIT_DAEMON_OBJ)))
$(eval $(call unit_area,ctl,$(UNIT_CTL_OBJ)))
$(eval $(call unit_area,helper,$(UNIT_HELPER_OBJ)))
$(eval $(call unit_area,tierscope,$(UNIT_TIERSCOPE_OBJ)))
$(eval $(call unit_area,workload,$(UNIT_WORKLOAD_OBJ)))
$(eval $(call unit_area,kmod,$(UNIT_KMOD_OBJ)))

# A unit test names the headers of its area as that area does itself.
# Tests may keep large states on the stack.
$(OBJ)/tests/unit/daemon/%.o: CFLAGS += -Wno-frame-larger-than
$(OBJ)/tests/unit/daemon/%.o $(OBJ)/tests/unit/daemon/%.tidy: CPPFLAGS += -Idaemon
# The movers' test brings a module of its own.
$(OBJ)/tests/unit/daemon/mover: LDFLAGS += $(addprefix -Wl$(COMMA)--wrap=ember_genl_,open close migrate wait)
$(OBJ)/tests/unit/daemon/split: LDFLAGS += -Wl,--wrap=calloc
$(OBJ)/tests/unit/ctl/%.o $(OBJ)/tests/unit/ctl/%.tidy: CPPFLAGS += -Ictl -Idaemon
$(OBJ)/tests/unit/helper/%.o $(OBJ)/tests/unit/helper/%.tidy: CPPFLAGS += -Ihelper
$(OBJ)/tests/unit/tierscope/%.o $(OBJ)/tests/unit/tierscope/%.tidy: CPPFLAGS += -Itests/tierscope
$(OBJ)/tests/unit/workload/%.o $(OBJ)/tests/unit/workload/%.tidy: CPPFLAGS += -Itests/workload/lib

# --- Static checks: what tests/check runs inside the guest root, with its tools --------------------
# clang-tidy by .clang-tidy and tests/.clang-tidy; a source is looked at again when it or a header changed.
TIDY_SRC := $(DAEMON_SRC) $(HELPER_SRC) $(CTL_SRC) $(LIB_TEST_SRC) $(PURE_WORKLOAD) $(UNIT_SRC) \
	$(wildcard tests/guest/*.c tests/workload/*.c)
TIDY_CONFIG := .clang-tidy tests/.clang-tidy

tidy: $(TIDY_SRC:%.c=$(OBJ)/%.tidy)

$(OBJ)/daemon/sample.tidy: $(SKEL)
$(OBJ)/daemon/watch_hands.tidy: $(HANDS_SKEL)

$(OBJ)/%.tidy: %.c $(TIDY_CONFIG)
	$(call msg,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG_TIDY) --quiet --warnings-as-errors='*' $< -- $(CPPFLAGS) -std=gnu17 \
		$(call pkg_cflags,$(DAEMON_PKGS)) 2>$@.err || { cat $@.err >&2; exit 1; }
	$(Q)$(CC) $(CPPFLAGS) $(call pkg_cflags,$(DAEMON_PKGS)) -MM -MP -MT $@ -MF $@.d $< && touch $@

# Every header compiles alone, and twice; those that BPF programs include, for BPF too.
BPF_HEADERS  := $(wildcard bpf/*.h include/ember/*.h)
USER_HEADERS := $(wildcard daemon/*.h daemon/util/*.h helper/*.h ctl/*.h include/ember/*.h include/uapi/linux/*.h \
	tests/lib/*.h tests/workload/lib/*.h tests/tierscope/*.h tests/unit/*/*.h)
KMOD_HEADERS := $(wildcard kmod/*.h include/uapi/linux/*.h) include/ember/sample.h
TWICE = printf '\043include "%s"\n' $< $<

headers: $(USER_HEADERS:%=%.user) $(BPF_HEADERS:%=%.bpf) $(foreach k,$(KVER),$(KMOD_HEADERS:%=%.kmod-$(k)))
.PHONY: tidy headers $(USER_HEADERS:%=%.user) $(BPF_HEADERS:%=%.bpf)

$(USER_HEADERS:%=%.user): %.user: %
	$(Q)$(TWICE) | $(CC) $(CPPFLAGS) -Idaemon $(CFLAGS) $(call pkg_cflags,$(DAEMON_PKGS)) -fsyntax-only -x c - || \
		{ echo "$<: does not compile alone"; exit 1; }

$(BPF_HEADERS:%=%.bpf): %.bpf: % $(OBJ)/vmlinux.h
	$(Q)$(TWICE) | $(CLANG) $(BPF_CFLAGS) -I. $(if $(filter include/%,$<),-include vmlinux.h) -fsyntax-only -x c - || { echo "$<: does not compile alone for BPF"; exit 1; }

# The flags of kbuild are those it wrote down for main.o, less what names its output.
define headers_of_kernel
.PHONY: $(KMOD_HEADERS:%=%.kmod-$(1))
$(KMOD_HEADERS:%=%.kmod-$(1)): %.kmod-$(1): % $(OBJ)/kmod-$(1)/ember.ko
	$$(Q)flags=$$$$(sed -n 's/^savedcmd_[^ ]* := *//; s/-Wp,-MMD,[^ ]*//; s/ -c -o .*//p' $(OBJ)/kmod-$(1)/kmod/.main.o.cmd); \
	case $$$$flags in *' -I./include '*) cd /lib/modules/$(1)/build ;; *) cd $(OBJ)/kmod-$(1)/kmod ;; esac && \
	printf '\043include "%s"\n' $(OBJ)/kmod-$(1)/$$< $(OBJ)/kmod-$(1)/$$< | eval "$$$$flags -fsyntax-only -x c -" || \
		{ echo "$$<: does not compile alone for $(1)"; exit 1; }
endef
$(foreach k,$(KVER),$(eval $(call headers_of_kernel,$(k))))

##@ Test
.PHONY: test test-long test-debug demo unit unit-build unit-sanitize check format vm clean clean-cache
test: ## all tests: checks, unit tests, then the guest tests on both kernels (20 to 30 minutes on two cores)
	tests/run

test-long: ## the long forms (hours); resumable: what has passed for these sources is not run again
	tests/run --long

test-debug: ## the module's tests on a kernel with KASAN, lockdep, kmemleak, fault injection (built once; see docs/checks.md)
	tests/run --debug

demo: ## watch ember lift Redis' hot pages into fast memory (5 minutes)
	tests/demo/run

unit-build: $(UNIT_BIN)
unit: $(UNIT_BIN) ## run the unit tests here (needs Debian 13's libraries; `make test` runs them in its root)
	tests/unit/run $(UNIT_BIN)

# Everything anew, in a directory of its own for each: objects with and without do not mix. An error ends the
# program, so that the test fails. Under the thread sanitizer only what has threads.
SANITIZE := -std=gnu17 -O1 -g -fno-omit-frame-pointer
THREADED := $(addprefix tests/unit/daemon/,heart mover)
unit-sanitize: ## the unit tests under the address, undefined-behaviour and thread sanitizers
	+$(Q)UNIT_PREFIX=unit-address $(MAKE) O=$(OBJ)/sanitize-address unit \
		CFLAGS='$(SANITIZE) -fsanitize=address,undefined -fno-sanitize-recover=undefined'
	+$(Q)UNIT_PREFIX=unit-thread $(MAKE) O=$(OBJ)/sanitize-thread unit CFLAGS='$(SANITIZE) -fsanitize=thread' \
		UNIT_BIN='$(THREADED:%=$(OBJ)/sanitize-thread/%)'

check: ## format, static analysis, dependency rules, specifications (part of `make test`)
	tests/check/run

format: ## give user code its format (.clang-format, by the guest root's clang-format)
	tests/check/format --fix

vm: ## a root shell in the test machine (VM="--kernel 7.3 --topology hbm": options of tests/vm/run)
	tests/vm/shell $(VM)

clean: ## remove the build directory
	rm -rf $(OBJ)

clean-cache: ## remove the guest roots and builds that tests keep outside the checkout
	rm -rf --one-file-system "$${EMBER_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/ember}"

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
