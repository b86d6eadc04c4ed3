// isofold.h is C++ as well, and alone in a file.
#include <isofold.h>

static_assert(sizeof(isofold_launch_options) == 72);
int main() { return isofold_status_name(ISOFOLD_OK) == nullptr; }
