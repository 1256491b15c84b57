#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a machine can say about the tree: who may include whom, format, cppcheck, shellcheck, manual pages.
set -u
cd "$(dirname "$0")/.." || exit 1
bad=0

say() {
	echo "lint: $1"
	bad=$((bad + 1))
}

# arrow FOLDER PATTERN WHY [EXCEPT]: no file below FOLDER, but those, includes what matches.
arrow() {
	local hits
	hits=$(grep -nE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[\"<][^\">]*($2)" -r "$1" --include='*.[ch]' \
		--exclude="${4:-}") || return 0
	echo "$hits"
	say "$1: $3"
}

kernel_libs='bpf/libbpf|bpf/bpf\.h|bpf/btf|xdp/libxdp|xdp/xsk|netlink/|cap-ng|skel\.h'
syscalls='sys/(mman|ioctl|socket|stat|types|mount|syscall|file)\.h|unistd\.h|fcntl\.h|net/if\.h|linux/(bpf|if_link|netlink)'
arrow bpf 'ctl/' 'the data path knows nothing of the command'
arrow ctl/lang 'compile/|kernel/|cmd/|out/|command\.h|abi[a-z_]*\.h' 'the language knows only itself'
arrow ctl/lang "$kernel_libs|$syscalls|stdio_ext" 'the language makes no system call'
arrow ctl/compile 'kernel/|cmd/|out/|command\.h' 'the compiler knows the language and bpf/abi.h'
arrow ctl/compile "$kernel_libs|$syscalls" 'the compiler makes no system call'
arrow ctl/kernel 'cmd/|out/|command\.h' 'the kernel side knows no command'
arrow ctl/out 'compile/|kernel/|cmd/' 'the writers know only problems'
for folder in ctl/cmd ctl/out ctl/fuzz; do
	[ ! -d $folder ] || arrow $folder "$kernel_libs" 'only ctl/kernel sees libbpf, libxdp, libnl and libcap-ng'
done
arrow ctl/tests "$kernel_libs" 'only ctl/kernel sees libbpf, and tests of BPF code by itself' '*[-_]bpf.[ch]'
for file in ctl/*.[ch]; do
	[ ! -e "$file" ] || arrow "$file" "$kernel_libs" 'only ctl/kernel sees libbpf, libxdp, libnl and libcap-ng'
done
hits=$(grep -nE '\b(printf|puts|fprintf|perror)\(' -r ctl/cmd ctl/lang ctl/compile ctl/kernel --include='*.c' | grep -v 'snprintf') && {
	echo "$hits"
	say 'only ctl/out prints'
}
hits=$(grep -LE '^#pragma once' -r bpf ctl --include='*.h') && [ -n "$hits" ] && {
	echo "$hits"
	say 'a header without #pragma once'
}
hits=$(grep -L 'SPDX-License-Identifier' -r bpf ctl netns-tests --include='*.[ch]' --include='*.py' --include='*.sh') && [ -n "$hits" ] && {
	echo "$hits"
	say 'a file without its licence'
}
# Headers of the ABI compile alone, for both sides.
for header in bpf/abi*.h; do
	echo "#include \"$header\"" | gcc -std=gnu11 -Wall -Wextra -Werror -I. -x c -fsyntax-only - || say "$header does not compile alone"
done
docs/map-abi.py --check || say 'docs/map-abi.md'

mapfile -t sources < <(find bpf ctl netns-tests -name '*.[ch]' | sort)
if command -v clang-format-19 >/dev/null; then
	for file in "${sources[@]}"; do
		clang-format-19 --dry-run -Werror "$file" 2>/dev/null || say "$file: format differs; run make fmt"
	done
else
	echo 'lint: no clang-format-19 here: format not checked'
fi

if command -v cppcheck >/dev/null; then
	# Suppressed: what cppcheck 2.10 takes wrongly (designated initialisers, bool as a count, getopt's numbers).
	cppcheck --quiet --std=c11 --language=c --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=unmatchedSuppression --suppress=compareBoolExpressionWithInt \
		--suppress=unknownEvaluationOrder --suppress=unknownMacro --suppress=negativeIndex:ctl/command.c \
		-D_GNU_SOURCE -DWEIR_VERSION='""' -I"${B:-.build}" -j2 ctl || say 'cppcheck'
fi

mapfile -t scripts < <(grep -lE '^#!/bin/(ba)?sh' -r netns-tests .ci)
shellcheck "${scripts[@]}" || say 'shellcheck'
for page in docs/*.[1-9]; do
	[ ! -e "$page" ] || mandoc -Tlint -W warning "$page" || say "$page"
done
for script in netns-tests/*.py netns-tests/bench/*.py netns-tests/bench/run netns-tests/bench/selfcheck; do
	[ ! -e "$script" ] || python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$script" || say "$script"
done
[ $bad = 0 ] && echo 'lint: nothing to say'
exit $((bad > 0))
