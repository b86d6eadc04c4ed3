// The manual page and the shells' completions say what the command's own help says.
#include <doctest/doctest.h>

#include <algorithm>
#include <regex>
#include <set>

#include "command.hpp"
#include "support/error_text.hpp"

using namespace isofold::testing;
using isofold::tools::find_program;
using isofold::tools::run_program;
using Words = std::set<std::string>;

namespace {

/// Sub-commands, and the parts of those that have parts, as words of a command line; and what --help of each says.
struct Help {
  std::vector<std::string> path;
  std::string text;
};

Words matches(const std::string& text, const char* pattern) {
  Words found;
  const std::regex expression(pattern);
  for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at) found.insert((*at)[1]);
  return found;
}

/// Names under "Subcommands:" of a help text.
Words parts_of(const std::string& help) {
  const std::size_t begin = help.find("\nSubcommands:");
  return begin == help.npos ? Words() : matches(help.substr(begin, help.find("\n\n", begin + 2) - begin), "\n  ([a-z]+) ");
}

Words options_of(const std::string& help) { return matches(help, "\n  (?:-[a-z],)?(--[a-z-]+)"); }

void collect(const CommandWorld& world, std::vector<std::string> path, std::vector<Help>& into) {
  std::vector<std::string> asked = path;
  asked.push_back("--help");
  const std::string text = world.run(asked).output;
  into.push_back({path, text});
  for (const std::string& part : parts_of(text)) {
    std::vector<std::string> longer = path;
    longer.push_back(part);
    collect(world, longer, into);
  }
}

/// What a bash that has read `script` offers for the last of `words`.
Words bash_offers(const std::string& script, const std::vector<std::string>& words) {
  const auto bash = find_program("bash");
  REQUIRE(bash);
  std::string line;
  for (const std::string& word : words) line += "'" + word + "' ";
  const auto result = run_program({*bash, "--norc", "-c",
                                   "source '" + script + "'; COMP_WORDS=(" + line + "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _isofold; "
                                   "printf '%s\\n' \"${COMPREPLY[@]}\""});
  CHECK(result.status == 0);
  CHECK(result.errors == "");
  return matches(result.output, "([^\n]+)");
}

}  // namespace

TEST_CASE("the manual page has every sub-command and option of the help, and no other") {
  const CommandWorld world;
  std::vector<Help> all;
  collect(world, {}, all);
  CHECK(all.size() > 10);
  std::string page = world.run({"man"}).output;
  page = std::regex_replace(page, std::regex("\\\\f[BRI]"), "");
  page = std::regex_replace(page, std::regex("\\\\-"), "-");
  Words expected, commands;
  for (const Help& help : all) {
    expected.merge(options_of(help.text));
    std::string name = "isofold";
    for (const std::string& word : help.path) name += " " + word;
    CAPTURE(name);
    if (!help.path.empty()) CHECK(contains(page, ".SS \"" + name + "\""));
  }
  CHECK(matches(page, "\n(?:-[a-z], )?(--[a-z-]+)") == expected);
  CHECK(contains(page, "\n--scale NUMBER\n"));
  CHECK(contains(page, "\n--static-scale [NUMBER]\n"));
  CHECK(contains(page, "\nISOFOLD_LOG\n"));
  CHECK(contains(page, "130 stopped by Ctrl-C"));
  if (const auto groff = find_program("groff")) {
    world.run({"man"});
    write_text(world.path("isofold.1"), world.run({"man"}).output);
    const auto result = run_program({*groff, "-ww", "-z", "-man", world.path("isofold.1")});
    CHECK(result.status == 0);
    CHECK(result.errors == "");
  }
}

TEST_CASE("bash completes sub-commands, options and values") {
  const CommandWorld world;
  const std::string script = world.path("isofold");
  write_text(script, world.run({"completion", "bash"}).output);
  std::vector<Help> all;
  collect(world, {}, all);
  for (const Help& help : all) {
    std::vector<std::string> words = help.path;
    words.insert(words.begin(), "isofold");
    words.push_back("");
    CAPTURE(words);
    Words expected = options_of(help.text);
    expected.merge(parts_of(help.text));
    if (help.path == std::vector<std::string>{"completion"}) expected.merge(Words{"bash", "zsh", "fish"});
    CHECK(bash_offers(script, words) == expected);
  }
  CHECK(bash_offers(script, {"isofold", "inspect", "--show", "s"}) == Words{"source", "sass", "svg"});
  CHECK(bash_offers(script, {"isofold", "tune", "--dtype", "f32", "--op", "soft"}) == Words{"softmax"});
  CHECK(bash_offers(script, {"isofold", "tune", "--weight-dtype", "b"}) == Words{"bf16"});
  CHECK(bash_offers(script, {"isofold", "tune", "--quantized-dtype", ""}) == Words{"e4m3", "i8"});
  CHECK(bash_offers(script, {"isofold", "tune", "--tokens", ""}).empty());
  // What need not have a value may be followed by another option.
  CHECK(bash_offers(script, {"isofold", "tune", "--static-scale", "--out"}) == Words{"--output", "--output-dtype"});
  write_text(world.path("table.jsonl"), "");
  CHECK(bash_offers(script, {"isofold", "tune", "--output", world.path("tab")}) == Words{world.path("table.jsonl")});
}

TEST_CASE("zsh and fish read what is written for them, and offer the same") {
  const CommandWorld world;
  write_text(world.path("_isofold"), world.run({"completion", "zsh"}).output);
  write_text(world.path("isofold.fish"), world.run({"completion", "fish"}).output);
  if (const auto zsh = find_program("zsh")) {
    const auto result = run_program({*zsh, "-n", world.path("_isofold")});
    CHECK(result.status == 0);
    CHECK(result.errors == "");
  }
  if (const auto fish = find_program("fish")) {
    const auto offered = [&](const std::string& line) {
      const auto result = run_program({*fish, "--no-config", "-c", "source " + world.path("isofold.fish") + "; complete -C '" + line + "'"});
      CHECK(result.status == 0);
      return matches(result.output, "([^\t\n]+)\t[^\n]*\n");
    };
    CHECK(offered("isofold cache ") == Words{"list", "verify", "prune", "clear"});
    CHECK(offered("isofold inspect --show s") == Words{"source", "sass", "svg"});
    CHECK(offered("isofold completion ") == Words{"bash", "zsh", "fish"});
  }
  // The options of every sub-command are in both.
  std::vector<Help> all;
  collect(world, {}, all);
  const std::string of_zsh = read_text(world.path("_isofold")), of_fish = read_text(world.path("isofold.fish"));
  for (const Help& help : all)
    for (const std::string& option : options_of(help.text)) {
      CAPTURE(option);
      CHECK(contains(of_zsh, "'" + option + "["));
      CHECK(contains(of_fish, " -l " + option.substr(2) + " "));
    }
}
