# Short names for the common ways through the house; the build itself is Meson's (meson.build).
# BUILD=folder, SUITES="base ir", FUZZ=name, FUZZ_SECONDS=60, PREFIX=/usr/local and DESTDIR may be given.
BUILD ?= build
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
SUITE_ARGS = $(foreach s,$(SUITES),--suite $(s))
TORTURE = base tensor ir onnx exec check conf data image inspect store train flow
TSAN = base-pool capi-env capi-look capi-run exec-blocked exec-calls exec-forest exec-product exec-quant exec-recurrent exec-session exec-shared exec-tune
SAN = -Db_sanitize=address,undefined -Db_lundef=false
export BUILD FUZZ FUZZ_SECONDS

.PHONY: help build demo test test-arm check asan tsan levels fuzz torture conformance conformance-types docs e2e-capi e2e-check e2e-models e2e-shapes e2e-simplify e2e-simplify-large e2e-view bench fmt install uninstall clean

help:            ## this list
	@sed -n 's/^\([a-z0-9%-]*\):[^#]*## /  make \1	/p' Makefile | expand -t 24

build:           ## compile the program and the library
	@tools/setup -q build
	@tools/build $(BUILD)

demo:            ## install what is needed, build, and take the digits through the whole lifecycle
	@tools/setup build demo
	@echo "building in $(BUILD): a minute or two"
	@tools/build $(BUILD) --targets src/cli/usta
	@examples/digits/demo.sh

test:            ## every test; SUITES="base ir" runs some
	@tools/setup -q build test
	@tools/build $(BUILD)
	@tools/run-tests $(BUILD) $(SUITE_ARGS)

test-arm:        ## the library for 64-bit ARM and the engine's tests under qemu, at levels ref and neon
	@tools/setup -q build test arm
	@tools/test-arm $(BUILD)/arm $(SUITE_ARGS)

check:           ## layers, banned calls, warnings under two compilers, headers, symbols, format, analysis
	@tools/setup -q build check
	@tools/check

asan:            ## every test under the address, leak and undefined-behaviour sanitizers
	@tools/setup -q build test
	@tools/build $(BUILD)/asan $(SAN)
	@ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1 \
	 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
	 tools/run-tests $(BUILD)/asan -t 5 $(SUITE_ARGS)

tsan:            ## the pool, and sessions that share a model or their threads, under the thread sanitizer
	@tools/setup -q build test check
	@CC=clang tools/build $(BUILD)/tsan -Db_sanitize=thread -Db_lundef=false -Dprogram=false
	@TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 tools/run-tests $(BUILD)/tsan -t 5 $(TSAN)

levels:          ## what runs operators, at each instruction set (USTA_CPU); ref and avx2 under sanitizers too
	@tools/setup -q build test
	@tools/build $(BUILD)
	@tools/build $(BUILD)/asan $(SAN)
	@ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1 \
	 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 tools/test-levels $(BUILD) $(BUILD)/asan

fuzz:            ## every fuzz target for FUZZ_SECONDS each; FUZZ=name runs one
	@tools/setup -q build fuzz
	@CC=clang tools/build $(BUILD)/fuzz $(SAN) -Dfuzz=true --targets fuzzers
	@tools/run-fuzz $(BUILD)/fuzz

torture:         ## the long forms: every allocation fails, 200 random kills
	@tools/setup -q build test
	@tools/build $(BUILD)
	@USTA_TORTURE=1 tools/run-tests $(BUILD) -t 30 $(foreach s,$(TORTURE),--suite $(s))

conformance:     ## the official operator tests
	@tools/setup -q build test
	@tools/build $(BUILD)
	@tools/conformance $(BUILD)

e2e-models:      ## real models on real pictures: accuracy, and ONNX Runtime beside us
	@tools/setup -q build test
	@tools/build $(BUILD)
	@tools/e2e-models $(BUILD)

e2e-capi:        ## make install into an empty folder; the C examples against it by gcc and clang; run, also under valgrind
	@tools/setup -q build demo test check
	@rm -rf build/prefix
	@$(MAKE) --no-print-directory install DESTDIR= PREFIX=build/prefix
	@US_TESTS=tests US_SOURCE=$(CURDIR) US_PREFIX=$(CURDIR)/build/prefix US_COMPILERS="gcc clang" \
	    sh tests/house/t0006-install.sh

e2e-check:       ## the checker beside onnx's: every official test and corpus model, 5000 mutants (minutes)
	@tools/setup -q build test --peers
	@tools/build $(BUILD)
	@build/peers/bin/python tests/e2e/check_peers.py $(BUILD)/src/cli/usta --mutants 5000 /usr/share/libonnx-testdata \
	    $(wildcard $(BUILD)/conformance) $${USTA_CORPUS:-../shared/corpus}/models $${USTA_CORPUS:-../shared/corpus}/tiny

e2e-shapes:      ## types and shapes of every value beside onnx's inference: every official test and corpus model (a minute)
	@tools/setup -q build test --peers
	@tools/build $(BUILD)
	@$(BUILD)/tests/ir/shapes $${USTA_CORPUS:-../shared/corpus}/models $${USTA_CORPUS:-../shared/corpus}/tiny
	@build/peers/bin/python tests/e2e/shapes_peers.py $(BUILD)/src/cli/usta /usr/share/libonnx-testdata \
	    $(wildcard $(BUILD)/conformance) $${USTA_CORPUS:-../shared/corpus}/models $${USTA_CORPUS:-../shared/corpus}/tiny

e2e-simplify:    ## simplify every official test and corpus model; onnx and ONNX Runtime judge (minutes)
	@tools/setup -q build test --peers
	@tools/build $(BUILD)
	@build/peers/bin/python tests/e2e/simplify_peers.py $(BUILD)/src/cli/usta /usr/share/libonnx-testdata \
	    $(wildcard $(BUILD)/conformance) $${USTA_CORPUS:-../shared/corpus}/models $${USTA_CORPUS:-../shared/corpus}/tiny

e2e-simplify-large: ## simplify a model with 2.3 GB of weights in external data (needs 6 GB of memory and 8 GB of disk)
	@tools/setup -q build test --peers
	@tools/build $(BUILD)
	@build/peers/bin/python tests/e2e/simplify_large.py $(BUILD)/src/cli/usta

e2e-view:        ## usta view in headless Chromium: click, search, zoom; pictures of five models in build/view
	@tools/setup -q build browser
	@tools/build $(BUILD)
	@tests/e2e/view_browser.sh $(BUILD)

conformance-types: ## the official operator tests with every element type and in older versions, against ONNX's reference and ONNX Runtime
	@tools/setup -q build test
	@tools/setup -q --peers
	@tools/build $(BUILD)
	@US_TESTS=tests US_SOURCE=. USTA= sh tests/ops/types.sh $(BUILD)/tests/ops/run_batch $(BUILD) --all -v

docs:            ## docs/api from the public headers, docs/operators.md from the tables and the official cases
	@tools/api-doc
	@tools/setup -q build test
	@tools/build $(BUILD)
	@tools/operators-doc $(BUILD)

bench: $(patsubst bench/%.sh,bench-%,$(sort $(wildcard bench/*.sh)))   ## every bench

bench-%:         ## one bench: a table and build/bench/NAME.json
	@tools/setup -q build bench
	@tools/build $(BUILD)
	@mkdir -p build/bench
	@bench/$*.sh

fmt:             ## lay out the code with clang-format
	@tools/setup -q check
	@git ls-files '*.c' '*.h' | xargs clang-format -i

install: build   ## to DESTDIR and PREFIX
	@meson configure $(BUILD) -Dprefix=$(abspath $(PREFIX))
	@tools/build $(BUILD)
	@meson install -C $(BUILD) --no-rebuild --quiet --strip
	@echo "installed under $(DESTDIR)$(PREFIX)"

uninstall:       ## what install put there
	@ninja -C $(BUILD) uninstall

clean:           ## everything that was built
	rm -rf build $(BUILD)
