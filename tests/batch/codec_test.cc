#include <gtest/gtest.h>

#include "base/batch/batch.h"
#include "base/error.h"
#include "base/random.h"
#include "tests/batch/raw_batch.h"

namespace catamaran {
namespace {

using testing::FromHex;

constexpr Codec kRealCodecs[] = {Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};

std::string Noise(Random& random, size_t size) {
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random.Next());
  return out;
}

// Text-like bytes that compress.
std::string Prose(Random& random, size_t size) {
  static constexpr std::string_view kWords[] = {"engine ", "speed ", "42 ", "fuel ", "km/h\n"};
  std::string out;
  while (out.size() < size) out += kWords[random.Below(5)];
  out.resize(size);
  return out;
}

Reason Refusal(Codec codec, std::string_view bytes, size_t limit = 1 << 20) {
  const auto result = Decompress(codec, bytes, limit);
  EXPECT_FALSE(result.ok()) << CodecName(codec);
  return ReasonOf(result.status());
}

TEST(CodecTest, Names) {
  for (int i = 0; i < kCodecs; ++i) {
    EXPECT_EQ(CodecFromName(CodecName(static_cast<Codec>(i))), static_cast<Codec>(i));
  }
  EXPECT_EQ(CodecName(Codec::kZstd), "zstd");
  EXPECT_EQ(CodecFromName("ZSTD"), std::nullopt);
  EXPECT_EQ(CodecFromName(""), std::nullopt);
}

TEST(CodecTest, RoundTripsEverySize) {
  Random random(1);
  for (const Codec codec :
       {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    for (const size_t size : {0, 1, 59, 60, 61, 1000, 32767, 32768, 32769, 65536, 65537, 300000}) {
      for (const bool noise : {false, true}) {
        const std::string plain = noise ? Noise(random, size) : Prose(random, size);
        const auto packed = Compress(codec, plain, std::nullopt);
        ASSERT_TRUE(packed.ok());
        const auto unpacked = Decompress(codec, *packed, size);
        ASSERT_TRUE(unpacked.ok()) << CodecName(codec) << " " << size << unpacked.status();
        EXPECT_EQ(*unpacked, plain);
        if (size > 0) {
          EXPECT_EQ(Refusal(codec, *packed, size - 1), Reason::kRecordTooLarge);
        }
      }
    }
  }
}

TEST(CodecTest, LevelsAreUsedAndReused) {
  Random random(2);
  const std::string plain = Prose(random, 50'000);
  for (const auto& [codec, low, high] :
       {std::tuple{Codec::kGzip, 1, 9}, {Codec::kLz4, 1, 12}, {Codec::kZstd, 1, 19}}) {
    const std::string fast = *Compress(codec, plain, low);
    const std::string small = *Compress(codec, plain, high);
    EXPECT_LT(small.size(), fast.size()) << CodecName(codec);
    EXPECT_EQ(*Compress(codec, plain, low), fast) << CodecName(codec);
    EXPECT_EQ(*Decompress(codec, small, plain.size()), plain);
  }
}

TEST(CodecTest, CompressToAppends) {
  for (const Codec codec : kRealCodecs) {
    std::string out = "front";
    ASSERT_TRUE(CompressTo(codec, "some bytes", std::nullopt, &out).ok());
    EXPECT_EQ(out.substr(0, 5), "front");
    EXPECT_EQ(*Decompress(codec, out.substr(5), 100), "some bytes");
  }
}

TEST(CodecTest, DecompressToOverwrites) {
  for (const Codec codec : kRealCodecs) {
    std::string out(5000, 'x');
    ASSERT_TRUE(DecompressTo(codec, *Compress(codec, "new", std::nullopt), 100, &out).ok());
    EXPECT_EQ(out, "new");
  }
}

TEST(CodecTest, UnknownCodec) {
  for (int number = kCodecs; number < 8; ++number) {
    const auto codec = static_cast<Codec>(number);
    EXPECT_EQ(Refusal(codec, "abc"), Reason::kUnsupportedCompression);
    EXPECT_EQ(ReasonOf(Compress(codec, "abc", std::nullopt).status()),
              Reason::kUnsupportedCompression);
  }
}

// Every cut of a stream, and bytes after its end, are damage; flipped bits never crash and never
// exceed the limit.
TEST(CodecTest, DamagedStreams) {
  Random random(3);
  for (const Codec codec : kRealCodecs) {
    const std::string plain = Prose(random, 700);
    const std::string packed = *Compress(codec, plain, std::nullopt);
    for (size_t size = 0; size < packed.size(); ++size) {
      const auto cut = Decompress(codec, packed.substr(0, size), plain.size());
      // A cut between the blocks of xerial's framing isn't visible to the codec.
      if (cut.ok()) {
        EXPECT_EQ(codec, Codec::kSnappy);
        EXPECT_LT(cut->size(), plain.size());
      } else {
        EXPECT_NE(ReasonOf(cut.status()), Reason::kInternal);
      }
    }
    EXPECT_EQ(Refusal(codec, packed + "trailing"), Reason::kCorruptBatch) << CodecName(codec);
    for (size_t at = 0; at < packed.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string flipped = packed;
        flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
        const auto result = Decompress(codec, flipped, 1000);
        if (result.ok()) {
          EXPECT_LE(result->size(), 1000u);
        }
      }
    }
    // The thread's contexts survive all that.
    EXPECT_EQ(*Decompress(codec, packed, plain.size()), plain);
  }
}

TEST(CodecTest, BombsStopAtTheLimit) {
  const std::string zeros(64u << 20, '\0');
  for (const Codec codec : kRealCodecs) {
    const std::string bomb = *Compress(codec, zeros, std::nullopt);
    std::string out;
    EXPECT_EQ(ReasonOf(DecompressTo(codec, bomb, 1 << 20, &out)), Reason::kRecordTooLarge)
        << CodecName(codec);
    EXPECT_LE(out.capacity(), 4u << 20) << CodecName(codec);
  }
}

TEST(CodecTest, ClaimsAreNotBelieved) {
  // Raw snappy of 5 bytes that claims 64 MiB.
  std::string out;
  EXPECT_EQ(ReasonOf(DecompressTo(Codec::kSnappy, FromHex("80808020 00"), 64 << 20, &out)),
            Reason::kCorruptBatch);
  EXPECT_LT(out.capacity(), 1000u);
  EXPECT_EQ(Refusal(Codec::kSnappy, FromHex("80808020 00"), 1 << 20), Reason::kRecordTooLarge);
  // A zstd frame that claims 2^40 bytes, and one whose window is 2 GiB.
  EXPECT_EQ(Refusal(Codec::kZstd, FromHex("28b52ffd e0 0000000000010000 010000")),
            Reason::kRecordTooLarge);
  EXPECT_EQ(Refusal(Codec::kZstd, FromHex("28b52ffd 00 a8 010000")), Reason::kCorruptBatch);
  // gzip whose trailer claims 4 GiB.
  std::string gzip = *Compress(Codec::kGzip, "abc", std::nullopt);
  gzip.replace(gzip.size() - 4, 4, "\xff\xff\xff\xff");
  EXPECT_EQ(Refusal(Codec::kGzip, gzip), Reason::kCorruptBatch);
}

TEST(CodecTest, Lz4IsWrittenAsJavaReadsIt) {
  Random random(4);
  for (const size_t size : {10, 200'000}) {
    const std::string packed = *Compress(Codec::kLz4, Prose(random, size), std::nullopt);
    EXPECT_EQ(packed.substr(0, 4), FromHex("04224d18"));
    // Version 01, independent blocks, no checksums, no content size; blocks of 64 KiB.
    EXPECT_EQ(packed.substr(4, 2), FromHex("6040"));
  }
}

TEST(CodecTest, Lz4DependentBlocksAreRefused) {
  // The same empty frame with independent (60) and with dependent (40) blocks.
  EXPECT_EQ(*Decompress(Codec::kLz4, FromHex("04224d18 6040 82 00000000"), 10), "");
  EXPECT_EQ(Refusal(Codec::kLz4, FromHex("04224d18 4040 c0 00000000")), Reason::kCorruptBatch);
}

TEST(CodecTest, SnappyIsWrittenInXerialFraming) {
  const std::string packed = *Compress(Codec::kSnappy, "abc", std::nullopt);
  EXPECT_EQ(packed.substr(0, 16), FromHex("82534e41505059 00 00000001 00000001"));
  EXPECT_EQ(packed.substr(16), FromHex("00000005 03 08 616263"));
}

TEST(CodecTest, XerialFramingThatLies) {
  const std::string magic = FromHex("82534e41505059 00");
  EXPECT_EQ(*Decompress(Codec::kSnappy, magic + FromHex("00000001 00000001"), 10), "");
  EXPECT_EQ(Refusal(Codec::kSnappy, magic), Reason::kCorruptBatch);
  for (const char* rest :
       {"00000001 00000002", "00000001 00000001 0000", "00000001 00000001 ffffffff 00",
        "00000001 00000001 00000005 0308 61", "00000001 00000001 7fffffff 0308616263",
        "00000001 00000001 00000000", "00000001 00000001 00000005 0408616263"}) {
    EXPECT_EQ(Refusal(Codec::kSnappy, magic + FromHex(rest)), Reason::kCorruptBatch) << rest;
  }
  const std::string block = FromHex("00000005 0308616263");
  const std::string two = magic + FromHex("00000001 00000001") + block + block;
  EXPECT_EQ(*Decompress(Codec::kSnappy, two, 6), "abcabc");
  EXPECT_EQ(Refusal(Codec::kSnappy, two, 5), Reason::kRecordTooLarge);
}

TEST(CodecTest, ConcatenatedStreamsOfGzipAndZstd) {
  for (const Codec codec : {Codec::kGzip, Codec::kZstd}) {
    const std::string packed =
        *Compress(codec, "abc", std::nullopt) + *Compress(codec, "def", std::nullopt);
    EXPECT_EQ(*Decompress(codec, packed, 6), "abcdef");
    EXPECT_EQ(Refusal(codec, packed, 5), Reason::kRecordTooLarge);
  }
}

}  // namespace
}  // namespace catamaran
