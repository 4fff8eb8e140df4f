/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kelp completion bash|zsh|fish — the script that a shell reads to complete Kelp's command lines.
 *
 * The scripts know nothing of Kelp: they ask `kelp __complete` (complete.h), always the kelp that PATH finds. What stands on the
 * command line may be a program of anybody's that the user has not yet decided to run.
 */
#include "base/err.h"
#include "base/str.h"
#include "cli/verbs.h"

#include <string.h>

/* Bash breaks words at ":" and "=" as well. We take the line apart at blanks, and answer with what follows the last such
 * character, which is what readline replaces. */
static const char bash_script[] =
    "# bash completion for kelp: source <(kelp completion bash)\n"
    "_kelp() {\n"
    "        local line=${COMP_LINE:0:COMP_POINT} words=() word='' i reply value\n"
    "        for ((i = 0; i <= COMP_CWORD; i++)); do\n"
    "                word=${COMP_WORDS[i]}\n"
    "                # Nothing but a blank in between makes it a word of its own.\n"
    "                if ((i > 0)) && [[ $line != [[:blank:]]* ]]; then\n"
    "                        words[${#words[@]}-1]+=$word\n"
    "                else\n"
    "                        line=${line#\"${line%%[![:blank:]]*}\"}\n"
    "                        words+=(\"$word\")\n"
    "                fi\n"
    "                line=${line#\"$word\"}\n"
    "        done\n"
    "        word=${words[${#words[@]}-1]}\n"
    "        value=${word#--*=}\n"
    "        local head=''\n"
    "        [[ $COMP_WORDBREAKS == *=* ]] && head=${word%\"${word##*=}\"}\n"
    "        if [[ $COMP_WORDBREAKS == *:* ]]; then\n"
    "                local behind=${word##*:}\n"
    "                [[ ${#behind} -lt $((${#word} - ${#head})) ]] && head=${word%\"$behind\"}\n"
    "        fi\n"
    "        COMPREPLY=()\n"
    "        while IFS= read -r reply; do\n"
    "                case $reply in\n"
    "                :nospace) compopt -o nospace 2>/dev/null ;;\n"
    "                :files | :dirs)\n"
    "                        compopt -o filenames 2>/dev/null\n"
    "                        local kind=-f file\n"
    "                        [[ $reply == :dirs ]] && kind=-d\n"
    "                        while IFS= read -r file; do\n"
    "                                COMPREPLY+=(\"$file\")\n"
    "                        done < <(compgen $kind -- \"$value\")\n"
    "                        ;;\n"
    "                *)\n"
    "                        reply=${reply%%$'\\t'*}\n"
    "                        COMPREPLY+=(\"${reply#\"$head\"}\")\n"
    "                        ;;\n"
    "                esac\n"
    "        done < <(command kelp __complete -- \"${words[@]:1}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _kelp kelp\n";

static const char zsh_script[] =
    "#compdef kelp\n"
    "# zsh completion for kelp: a file _kelp in $fpath, or: source <(kelp completion zsh)\n"
    "_kelp() {\n"
    "        local reply word files dirs meaning\n"
    "        local -a names shown suffix\n"
    "        for reply in \"${(@f)$(command kelp __complete -- \"${(@Q)words[2,CURRENT-1]}\" "
    "\"${(Q)PREFIX}\" 2>/dev/null)}\"; do\n"
    "                case $reply in\n"
    "                :nospace) suffix=(-S '') ;;\n"
    "                :files) files=1 ;;\n"
    "                :dirs) dirs=1 ;;\n"
    "                ?*)\n"
    "                        word=${reply%%$'\\t'*}\n"
    "                        meaning=${reply#\"$word\"}\n"
    "                        names+=(\"$word\")\n"
    "                        shown+=(\"$word${meaning:+  -- ${meaning#$'\\t'}}\")\n"
    "                        ;;\n"
    "                esac\n"
    "        done\n"
    "        local found=1\n"
    "        (($#names)) && compadd -V kelp -l -d shown \"${suffix[@]}\" -a names && found=0\n"
    "        [[ -z $files$dirs ]] || compset -P '--*='\n"
    "        [[ -z $files ]] || _files && found=0\n"
    "        [[ -z $dirs ]] || _files -/ && found=0\n"
    "        return found\n"
    "}\n"
    "if [[ $funcstack[1] == _kelp ]]; then\n"
    "        _kelp \"$@\"\n"
    "else\n"
    "        compdef _kelp kelp\n"
    "fi\n";

static const char fish_script[] =
    "# fish completion for kelp: kelp completion fish | source\n"
    "function __kelp_complete\n"
    "        set -l words (commandline -opc)\n"
    "        set -l current (commandline -ct)\n"
    "        for reply in (command kelp __complete -- $words[2..-1] \"$current\" 2>/dev/null)\n"
    "                switch $reply\n"
    "                        case :nospace\n"
    "                        case :files :dirs\n"
    "                                set -l head (string match -r -- '^--[^=]*=' $current)\n"
    "                                set -l part (string replace -r -- '^--[^=]*=' '' $current)\n"
    "                                if test $reply = :dirs\n"
    "                                        printf \"$head%s\\n\" (__fish_complete_directories "
    "\"$part\")\n"
    "                                else\n"
    "                                        printf \"$head%s\\n\" (__fish_complete_path "
    "\"$part\")\n"
    "                                end\n"
    "                        case '*'\n"
    "                                echo $reply\n"
    "                end\n"
    "        end\n"
    "end\n"
    "complete -c kelp -f -a '(__kelp_complete)'\n";

static const struct {
        const char *shell, *script;
} scripts[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

static int run(struct cli *cli, void *args, const struct strv *operands, struct err **reterr)
{
        for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
                if (strcmp(scripts[i].shell, operands->v[0]) != 0)
                        continue;
                fputs(scripts[i].script, stdout);
                return 0;
        }
        return err_hint(
            reterr, err_new(reterr, ERR_USAGE, "no completion for the shell '%s'", operands->v[0]),
            "there is one for bash, zsh and fish");
}

const struct verb verb_completion = {
    .names = {"completion"},
    .group = VERB_GROUP_SYSTEM,
    .operands = "bash|zsh|fish",
    .summary = "Print the script that lets a shell complete command lines",
    .min_operands = 1,
    .max_operands = 1,
    .completes = {COMPLETE_SHELL},
    .run = run,
};
