#pragma once

/// Marks the namespaces whose names a shared library of Isofold exports: everything in a public header, nothing else.
#define ISOFOLD_API [[gnu::visibility("default")]]
