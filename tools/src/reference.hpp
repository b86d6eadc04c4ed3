#pragma once
#include <string>
#include <vector>

namespace isofold::tools {

/// One option, flag or argument as the command line declares it.
struct OptionReference {
  std::vector<std::string> names;  // "-n", "--n"; none for an argument that has no name
  std::string value;               // what it takes, "COUNTS"; empty for a flag
  bool value_optional = false;     // it may stand without
  std::string meaning;
  std::string group;                 // of several sub-commands, "Operator"; else empty
  std::vector<std::string> choices;  // values to offer, when they can be listed
  bool is_file = false;              // a file or folder
};

/// One sub-command, or the command itself.
struct CommandReference {
  std::string name;
  std::string meaning;
  std::vector<OptionReference> options;
  std::vector<CommandReference> parts;  // its sub-commands
};

/// A name of the environment and what it does.
struct VariableReference {
  std::string name;
  std::string meaning;
};

/// Everything that the command's own help says, in a form that other texts are made of.
struct Reference {
  CommandReference command;
  std::vector<VariableReference> environment;
  std::string exit_codes;
};

/// isofold.1, in troff with the man macros.
std::string man_page(const Reference& reference);
/// What the shells read to complete the command's words.
std::string bash_completion(const Reference& reference);
std::string zsh_completion(const Reference& reference);
std::string fish_completion(const Reference& reference);

}  // namespace isofold::tools
