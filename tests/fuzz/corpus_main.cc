// Stands in for libFuzzer in ordinary builds: runs every file of the corpus folders named on the
// command line through the fuzzer's entry, then seeded mutations of them.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/random.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr int kMutationsDefault = 5'000;       // of all folders together; CATAMARAN_FUZZ_MUTATIONS
constexpr uint64_t kSeedDefault = 20'240'607;  // CATAMARAN_FUZZ_SEED
constexpr size_t kInsertedBytesMax = 8;

// Boundary values of lengths, counts and varints.
constexpr std::string_view kInteresting[] = {std::string_view("\0\0\0\0", 4),
                                             "\xff\xff\xff\xff",
                                             "\x7f\xff\xff\xff",
                                             std::string_view("\x80\0\0\0", 4),
                                             "\xff\xff\xff\xff\x0f",
                                             std::string_view("\0\1", 2),
                                             "\x01"};

uint64_t NumberFrom(const char* variable, uint64_t fallback) {
  const char* text = std::getenv(variable);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

void Run(const std::string& input) {
  // A copy of the exact size, so that the address sanitizer sees a read past the end.
  std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
}

std::string Mutate(std::string input, const std::vector<std::string>& corpus,
                   catamaran::Random& random) {
  for (uint64_t n = 1 + random.Below(4); n > 0; --n) {
    const size_t at = random.Below(input.size() + 1);
    switch (random.Below(6)) {
      case 0:
        if (at < input.size()) input[at] = static_cast<char>(random.Next());
        break;
      case 1:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << random.Below(8)));
        break;
      case 2:
        input.erase(at, random.Below(16));
        break;
      case 3:
        input.insert(
            at, std::string(1 + random.Below(kInsertedBytesMax), static_cast<char>(random.Next())));
        break;
      case 4: {
        const std::string_view bytes = kInteresting[random.Below(std::size(kInteresting))];
        input.replace(at, std::min(bytes.size(), input.size() - at), bytes);
        break;
      }
      default: {
        const std::string& other = corpus[random.Below(corpus.size())];
        const size_t from = random.Below(other.size() + 1);
        input.replace(at, std::string::npos, other.substr(from));
      }
    }
  }
  return input;
}

// False when the folder can't be read or has no file.
bool ReadFolder(const std::string& folder, std::vector<std::string>* corpus) {
  std::error_code error;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());  // so that a seed names the same run everywhere
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    corpus->emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    if (file.bad()) return false;
  }
  return !error && !paths.empty();
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> corpus;
  for (int i = 1; i < argc; ++i) {
    if (!ReadFolder(argv[i], &corpus)) {
      std::fprintf(stderr, "corpus folder %s is missing, unreadable or empty\n", argv[i]);
      return 1;
    }
  }
  if (corpus.empty()) {
    std::fprintf(stderr, "usage: %s corpus-folder...\n", argv[0]);
    return 2;
  }
  for (const std::string& input : corpus) Run(input);
  std::printf("%zu corpus files passed\n", corpus.size());

  const uint64_t seed = NumberFrom("CATAMARAN_FUZZ_SEED", kSeedDefault);
  const uint64_t mutations = NumberFrom("CATAMARAN_FUZZ_MUTATIONS", kMutationsDefault);
  std::printf("running %llu mutations, seed %llu\n", static_cast<unsigned long long>(mutations),
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  catamaran::Random random(seed);
  for (uint64_t i = 0; i < mutations; ++i) {
    Run(Mutate(corpus[random.Below(corpus.size())], corpus, random));
  }
  std::printf("%llu mutations passed\n", static_cast<unsigned long long>(mutations));
  return 0;
}
