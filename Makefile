# SPDX-License-Identifier: GPL-2.0-only
# Verbs, nothing else: what is built stands in Kbuild.

KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build

all: modules ## the module, for the kernel that KDIR or KVER names (default: the running one)

modules: | headers ## the same
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

install: ## the module that was built here, into kernel KVER's directory; make uninstall takes it away
	@packaging/install $(KVER)

uninstall: ## that
	@packaging/install --remove $(KVER)

deb: ## the package hv-vmbus-dkms
	@packaging/deb

loop: | headers ## hv_vmbus_loop.ko, the driver on a simulated host with devices (Documentation/loop-host.rst)
	@tests/loop/build $(KDIR)

samples: | headers ## samples/*.ko, drivers of VMBus devices to learn from (Documentation/writing-a-vsc.rst)
	$(MAKE) -C $(KDIR) M=$(CURDIR)/samples modules

headers:
	@test -e $(KDIR)/Makefile || { \
		echo "error: no kernel headers in $(KDIR)" >&2; \
		echo "  apt-get install linux-headers-$(KVER)" >&2; \
		echo "  or name another kernel: make KVER=<release> or make KDIR=<directory of headers>" >&2; \
		exit 1; }

# What the others are written in, among other things.
tools:
	@tests/setup/tools

demo: | tools ## a guest on a real VMBus host with hv_balloon; disk and network on a host in software
	tests/host/demo
	tests/loop/demo

test: ## what is tested on each change, or the PARTS (Documentation/testing.rst); ends with one line of counts
	tests/run $(PARTS)

test-all: ## everything that is tested, on all kernels, as long as it takes; the same line
	tests/run all

check: kernels ## checkpatch, rules of the project, the tests' modules; and the next one
	tests/check/run

kernels: | tools ## for each of the distributions' kernels: W=1, sparse, exports symbol by symbol
	tests/abi/check

abi-check: kernels ## the same

model: | tools ## all states of a model of the ring; again without each barrier, which must fail
	tests/model/run

bench: | tools ## instructions per operation, the stock module's beside ours
	tests/bench/run

coverage: | tools ## share of lines and branches that the tests reach, by file
	tests/coverage/run

docs: | tools ## build/html: these pages and the kernel-doc, by Sphinx
	@tests/setup/docs

SECONDS ?= 60

fuzz: | tools ## rings and messages against a hostile host in user space, each target for SECONDS (60)
	tests/fuzz/run $(SECONDS)

# Kbuild's own clean where headers are at hand; the list, where they are not.
clean: ## remove what was built here
	rm -rf build
	@if [ -e $(KDIR)/Makefile ]; then \
		$(MAKE) -C $(KDIR) M=$(CURDIR) clean && $(MAKE) -C $(KDIR) M=$(CURDIR)/samples clean; \
	else \
		find . -name .git -prune -o -type f \
			\( -name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o -name '.*.cmd' \
			-o -name modules.order -o -name Module.symvers \) -exec rm -f {} +; \
	fi

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1|/p' Makefile | \
		while IFS='|' read -r verb what; do printf '  make %-11s %s\n' "$$verb" "$$what"; done
	@echo
	@echo '  KVER=<release> or KDIR=<directory> choose the kernel that all, modules, loop, samples and clean work with,'
	@echo '  KVER=<release> that of install and uninstall.'

.PHONY: all modules install uninstall deb loop samples headers tools demo test test-all check kernels abi-check model docs fuzz bench coverage clean help
