// The version of this build, e.g. "0.1.0".
#pragma once

namespace catamaran::broker {
const char* VersionText();
}  // namespace catamaran::broker
