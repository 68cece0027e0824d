// A configuration file: reading ends with a configuration or a typed error, and a configuration
// that was read is printed so that it reads back the same.
#include <cstdint>
#include <string>

#include "base/check.h"
#include "base/error.h"
#include "broker/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using catamaran::broker::ConfigSources;
  using catamaran::broker::LoadConfig;
  using catamaran::broker::LoadedConfig;
  ConfigSources sources;
  sources.file_name = "fuzz.toml";
  sources.file_text.assign(reinterpret_cast<const char*>(data), size);
  absl::StatusOr<LoadedConfig> first = LoadConfig(sources);
  if (!first.ok()) {
    CATAMARAN_CHECK(catamaran::ReasonOf(first.status()) == catamaran::Reason::kInvalidConfig,
                    "every refusal is typed");
    return 0;
  }
  sources.file_text = catamaran::broker::PrintConfig(*first);
  absl::StatusOr<LoadedConfig> second = LoadConfig(sources);
  CATAMARAN_CHECK(second.ok(), "what is printed can be read");
  CATAMARAN_CHECK(first->values.size() == second->values.size(), "with all its keys");
  for (size_t i = 0; i < first->values.size(); ++i) {
    CATAMARAN_CHECK(first->values[i].text == second->values[i].text, "and the same values");
  }
  return 0;
}
