#include "tests/sim/sim_file_data.h"

#include <algorithm>
#include <cstring>

namespace catamaran::sim {
namespace {

enum class WritebackPlan : uint8_t { kNothing, kEverything, kPrefix, kEachSectorByChance };
inline constexpr uint64_t kWritebackPlans = 4;

enum class SectorFate : uint8_t { kKept, kDropped, kTorn, kZeroed };
inline constexpr uint64_t kSectorFates = 4;

const SectorImage::Sector kZeroes{};

const SectorImage::Sector& OrZeroes(const SectorImage::Sector* sector) {
  return sector == nullptr ? kZeroes : *sector;
}

// Some of the 512-byte units are new, the others old.
void Tear(const SectorImage::Sector& fresh, SectorImage::Sector& out, Random& random) {
  for (uint64_t at = 0; at < kSectorBytes; at += kTearBytes) {
    if (random.OneIn(2)) std::memcpy(out.data() + at, fresh.data() + at, kTearBytes);
  }
}

// A newly allocated block whose data never arrived. Only bytes that were being changed: the others
// were durable before and stay so.
void ZeroChanged(const SectorImage::Sector& fresh, SectorImage::Sector& out) {
  for (uint64_t at = 0; at < kSectorBytes; ++at) {
    if (fresh[at] != out[at]) out[at] = 0;
  }
}

}  // namespace

void SectorImage::Resize(uint64_t size) {
  sectors_.resize((size + kSectorBytes - 1) / kSectorBytes);
  uint64_t in_last = size % kSectorBytes;
  if (in_last != 0 && sectors_.back() != nullptr) {
    const Sector& last = *sectors_.back();
    auto not_zero = [](char c) { return c != 0; };
    // Unshares the sector only when there is something to clear.
    if (std::any_of(last.begin() + in_last, last.end(), not_zero)) {
      std::memset(MutableSector(sectors_.size() - 1).data() + in_last, 0, kSectorBytes - in_last);
    }
  }
  size_ = size;
}

SectorImage::Sector& SectorImage::MutableSector(uint64_t index) {
  if (index >= sectors_.size()) sectors_.resize(index + 1);
  std::shared_ptr<Sector>& sector = sectors_[index];
  if (sector == nullptr) {
    sector = std::make_shared<Sector>();
    sector->fill(0);
  } else if (sector.use_count() > 1) {
    sector = std::make_shared<Sector>(*sector);
  }
  return *sector;
}

void SectorImage::ShareSector(const SectorImage& from, uint64_t index) {
  if (index >= sectors_.size()) sectors_.resize(index + 1);
  sectors_[index] = index < from.sectors_.size() ? from.sectors_[index] : nullptr;
}

size_t SectorImage::Read(uint64_t position, char* into, size_t length) const {
  if (position >= size_) return 0;
  length = static_cast<size_t>(std::min<uint64_t>(length, size_ - position));
  for (size_t done = 0; done < length;) {
    uint64_t at = position + done;
    size_t step = std::min<size_t>(length - done, kSectorBytes - at % kSectorBytes);
    const Sector& sector = OrZeroes(this->sector(at / kSectorBytes));
    std::memcpy(into + done, sector.data() + at % kSectorBytes, step);
    done += step;
  }
  return length;
}

void SectorImage::Write(uint64_t position, std::string_view bytes) {
  if (bytes.empty()) return;
  for (size_t done = 0; done < bytes.size();) {
    uint64_t at = position + done;
    size_t step = std::min<size_t>(bytes.size() - done, kSectorBytes - at % kSectorBytes);
    Sector& sector = MutableSector(at / kSectorBytes);
    std::memcpy(sector.data() + at % kSectorBytes, bytes.data() + done, step);
    done += step;
  }
  size_ = std::max<uint64_t>(size_, position + bytes.size());
}

void SimFileData::Write(uint64_t position, std::string_view bytes) {
  if (bytes.empty()) return;
  live_.Write(position, bytes);
  uint64_t last = (position + bytes.size() - 1) / kSectorBytes;
  for (uint64_t i = position / kSectorBytes; i <= last; ++i) dirty_.insert(i);
}

void SimFileData::Resize(uint64_t size) {
  live_.Resize(size);
  truncated_to_ = std::min(truncated_to_, size);
}

void SimFileData::Sync() {
  if (truncated_to_ < durable_.size()) durable_.Resize(truncated_to_);
  for (uint64_t i : dirty_) {
    if (i < live_.sector_count()) durable_.ShareSector(live_, i);
  }
  durable_.Resize(live_.size());
  dirty_.clear();
  truncated_to_ = kNotTruncated;
}

SectorImage SimFileData::PartlyWrittenBack(Random& random, bool whole_writes) const {
  SectorImage image = durable_;
  auto plan = static_cast<WritebackPlan>(random.Below(kWritebackPlans));
  if (plan == WritebackPlan::kNothing) return image;
  if (truncated_to_ < image.size() && (plan == WritebackPlan::kEverything || random.OneIn(2))) {
    image.Resize(truncated_to_);
  }
  uint64_t size = image.size();
  if (live_.size() > size) {
    uint64_t growth = live_.size() - size;
    bool whole = plan == WritebackPlan::kEverything || random.OneIn(2);
    size += whole ? growth : whole_writes ? 0 : random.Below(growth + 1);
  }
  uint64_t kept_prefix = random.Below(dirty_.size() + 1);
  uint64_t seen = 0;
  for (uint64_t i : dirty_) {
    auto fate = static_cast<SectorFate>(random.Below(kSectorFates));
    if (plan == WritebackPlan::kEverything) fate = SectorFate::kKept;
    if (plan == WritebackPlan::kPrefix) {
      fate = seen < kept_prefix    ? SectorFate::kKept
             : seen == kept_prefix ? SectorFate::kTorn
                                   : SectorFate::kDropped;
    }
    ++seen;
    const SectorImage::Sector& fresh = OrZeroes(live_.sector(i));
    if (fate == SectorFate::kKept) image.MutableSector(i) = fresh;
    if (fate == SectorFate::kTorn) Tear(fresh, image.MutableSector(i), random);
    if (fate == SectorFate::kZeroed) ZeroChanged(fresh, image.MutableSector(i));
  }
  // Sectors past the size that the inode got aren't reachable.
  image.Resize(size);
  return image;
}

void SimFileData::FailSync(Random& random) {
  // The machine is up: the size that the inode gets is one that the file has had.
  durable_ = PartlyWrittenBack(random, /*whole_writes=*/true);
  dirty_.clear();
  truncated_to_ = kNotTruncated;
}

void SimFileData::LosePower(Random& random) {
  durable_ = PartlyWrittenBack(random, /*whole_writes=*/false);
  live_ = durable_;
  dirty_.clear();
  truncated_to_ = kNotTruncated;
}

void SimFileData::Damage(uint64_t position, std::string_view bytes) {
  live_.Write(position, bytes);
  if (position + bytes.size() <= durable_.size()) durable_.Write(position, bytes);
}

}  // namespace catamaran::sim
