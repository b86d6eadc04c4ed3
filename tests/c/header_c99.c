#include <isofold.h>

isofold_launch_options header_c99_launch = {sizeof(isofold_launch_options), 0, 0, 0, 0, 0, 0, 0, 0};
