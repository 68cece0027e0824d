// CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected), as record batch v2 and our own files use
// it. "123456789" -> 0xE3069283. SSE4.2 and VPCLMULQDQ where the processor has them, else tables.
// Thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace catamaran {

// CRC of `bytes` appended to bytes whose CRC is `crc`; start with 0.
uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes);
inline uint32_t Crc32c(std::string_view bytes) { return ExtendCrc32c(0, bytes); }

}  // namespace catamaran
