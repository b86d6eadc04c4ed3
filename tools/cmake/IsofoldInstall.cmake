# Install rules of the libraries, headers, tables and the command.
