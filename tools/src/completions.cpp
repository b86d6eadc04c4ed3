#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <string_view>

#include "reference.hpp"

namespace isofold::tools {
namespace {

/// Between single quotes: of sh and zsh a quote ends the text, is quoted, and begins it anew.
std::string quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// fish escapes inside the quotes.
std::string fish_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += (c == '\'' || c == '\\' ? "\\" : "") + std::string(1, c);
  return out + "'";
}

/// The first sentence or what fits: completions show one line.
std::string short_meaning(const std::string& meaning) {
  std::string text = meaning.substr(0, meaning.find('\n'));
  constexpr std::size_t longest = 76;
  if (text.size() <= longest) return text;
  return text.substr(0, text.rfind(' ', longest)) + " ...";
}

/// Calls visit(command, path) for every sub-command, depth first; the path is "cache prune".
void each_command(const CommandReference& command, const std::string& before,
                  const std::function<void(const CommandReference&, const std::string&)>& visit) {
  for (const CommandReference& part : command.parts) {
    const std::string path = before + part.name;
    visit(part, path);
    each_command(part, path + " ", visit);
  }
}

std::vector<std::string> names_of_parts(const CommandReference& command) {
  std::vector<std::string> names;
  for (const CommandReference& part : command.parts) names.push_back(part.name);
  return names;
}

std::string bash_words(const CommandReference& command) {
  std::vector<std::string> words = names_of_parts(command);
  for (const OptionReference& option : command.options) {
    if (option.names.empty()) words.insert(words.end(), option.choices.begin(), option.choices.end());
    for (const std::string& name : option.names)
      if (name.starts_with("--")) words.push_back(name);
  }
  return fmt::format("{}", fmt::join(words, " "));
}

std::string zsh_action(const OptionReference& option) {
  if (!option.choices.empty()) return fmt::format("({})", fmt::join(option.choices, " "));
  return option.is_file ? "_files" : " ";
}

/// In a specification of _arguments brackets and colons have meanings.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) out += (c == '[' || c == ']' || c == ':' || c == '\\' ? "\\" : "") + std::string(1, c);
  return out;
}

std::string zsh_arguments(const CommandReference& command) {
  std::string out;
  for (const OptionReference& option : command.options) {
    const std::string value = option.value.empty() ? "" : fmt::format("{}{}:{}", option.value_optional ? "::" : ":", zsh_text(option.value), zsh_action(option));
    if (option.names.empty()) out += " \\\n        " + quoted(fmt::format(":{}:{}", zsh_text(option.value), zsh_action(option)));
    for (const std::string& name : option.names)
      out += " \\\n        " + quoted(fmt::format("{}[{}]{}", name, zsh_text(short_meaning(option.meaning)), value));
  }
  return out;
}

/// The cases of a word: what completes a command that has parts, or one that has none.
std::string zsh_command(const CommandReference& command, const std::string& function) {
  std::string out = fmt::format("{}() {{\n", function);
  if (command.parts.empty()) {
    out += "    _arguments -s" + zsh_arguments(command) + "\n}\n\n";
    return out;
  }
  std::string below;
  out += "    local context state state_descr line\n    typeset -A opt_args\n    local -a commands\n    commands=(\n";
  for (const CommandReference& part : command.parts) out += "        " + quoted(part.name + ":" + zsh_text(short_meaning(part.meaning))) + "\n";
  out += "    )\n    _arguments -C" + zsh_arguments(command) + " \\\n        '1: :->command' \\\n        '*:: :->rest'\n";
  out += "    case $state in\n        command) _describe command commands ;;\n        rest)\n            case $words[1] in\n";
  for (const CommandReference& part : command.parts) {
    const std::string inner = function + "_" + part.name;
    out += fmt::format("                {}) {} ;;\n", part.name, inner);
    below += zsh_command(part, inner);
  }
  return below + out + "            esac ;;\n    esac\n}\n\n";
}

}  // namespace

std::string bash_completion(const Reference& reference) {
  std::string out =
      "# bash completion for isofold; made by `isofold completion bash`.\n"
      "_isofold() {\n"
      "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command= words= files= i\n"
      "    for ((i = 1; i < COMP_CWORD; ++i)); do\n"
      "        case \"$command ${COMP_WORDS[i]}\" in\n";
  each_command(reference.command, "", [&](const CommandReference&, const std::string& path) {
    const std::size_t last = path.rfind(' ');
    const std::string before = last == path.npos ? "" : path.substr(0, last);
    const std::string word = last == path.npos ? path : path.substr(last + 1);
    out += fmt::format("            '{} {}') command='{}' ;;\n", before, word, path);
  });
  out += "        esac\n    done\n    case \"$command $previous\" in\n";
  const auto values = [&](const CommandReference& command, const std::string& path) {
    for (const OptionReference& option : command.options) {
      if (option.value.empty() || option.value_optional || option.names.empty()) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option.names) patterns.push_back(fmt::format("'{} {}'", path, name));
      out += fmt::format("        {}) ", fmt::join(patterns, " | "));
      if (option.is_file)
        out += "files=yes ;;\n";
      else
        out += fmt::format("words={} ;;\n", quoted(fmt::format("{}", fmt::join(option.choices, " "))));
    }
  };
  values(reference.command, "");
  each_command(reference.command, "", values);
  out += "        *)\n            case \"$command\" in\n";
  out += fmt::format("                '') words={} ;;\n", quoted(bash_words(reference.command)));
  each_command(reference.command, "", [&](const CommandReference& command, const std::string& path) {
    out += fmt::format("                '{}') words={} ;;\n", path, quoted(bash_words(command)));
  });
  out +=
      "            esac ;;\n"
      "    esac\n"
      "    if [ -n \"$files\" ]; then\n"
      "        mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
      "        compopt -o filenames 2> /dev/null\n"
      "    else\n"
      "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
      "    fi\n"
      "}\n"
      "complete -F _isofold isofold\n";
  return out;
}

std::string zsh_completion(const Reference& reference) {
  return "#compdef isofold\n# zsh completion for isofold; made by `isofold completion zsh`.\n\n" +
         zsh_command(reference.command, "_isofold") + "_isofold \"$@\"\n";
}

std::string fish_completion(const Reference& reference) {
  std::string out = "# fish completion for isofold; made by `isofold completion fish`.\ncomplete -c isofold -f\n";
  const auto add = [&](const CommandReference& command, const std::string& condition, const std::string& below) {
    for (const CommandReference& part : command.parts)
      out += fmt::format("complete -c isofold -n {} -a {} -d {}\n", fish_quoted(below), part.name, fish_quoted(short_meaning(part.meaning)));
    for (const OptionReference& option : command.options) {
      std::string line = fmt::format("complete -c isofold -n {}", fish_quoted(condition));
      for (const std::string& name : option.names)
        line += name.starts_with("--") ? fmt::format(" -l {}", name.substr(2)) : fmt::format(" -s {}", name.substr(1));
      if (!option.value.empty() && !option.value_optional && !option.names.empty()) line += option.is_file ? " -r -F" : " -x";
      if (!option.choices.empty()) line += " -a " + fish_quoted(fmt::format("{}", fmt::join(option.choices, " ")));
      if (option.names.empty() && option.choices.empty()) continue;
      out += line + " -d " + fish_quoted(short_meaning(option.meaning)) + "\n";
    }
  };
  add(reference.command, "__fish_use_subcommand", "__fish_use_subcommand");
  for (const CommandReference& command : reference.command.parts) {
    const std::string seen = "__fish_seen_subcommand_from " + command.name;
    const std::string inner = fmt::format("{}", fmt::join(names_of_parts(command), " "));
    add(command, seen, seen + (inner.empty() ? "" : "; and not __fish_seen_subcommand_from " + inner));
    for (const CommandReference& part : command.parts) {
      const std::string both = fmt::format("{}; and __fish_seen_subcommand_from {}", seen, part.name);
      add(part, both, both);
    }
  }
  return out;
}

}  // namespace isofold::tools
