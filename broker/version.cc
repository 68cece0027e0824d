#include "broker/version.h"

namespace catamaran::broker {
const char* VersionText() { return CATAMARAN_VERSION; }
}  // namespace catamaran::broker
