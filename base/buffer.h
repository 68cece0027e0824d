// Immutable bytes with shared ownership: a batch is received once and then shared by the write to
// disk, the tail cache and every reader's reply without another copy.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace catamaran {

// A view of bytes that keeps their owner alive. Copying copies a reference. Thread-safe as a
// `std::shared_ptr<const T>` is: distinct copies may be used on distinct threads.
class Buffer {
 public:
  Buffer() = default;

  // Takes the string's storage; no copy of the bytes.
  static Buffer FromString(std::string bytes) {
    auto owner = std::make_shared<const std::string>(std::move(bytes));
    std::string_view view(*owner);
    return Buffer(view, std::move(owner));
  }
  static Buffer Copy(std::string_view bytes) { return FromString(std::string(bytes)); }
  // `bytes` must stay valid and unchanged while `owner` lives.
  static Buffer Wrap(std::string_view bytes, std::shared_ptr<const void> owner) {
    return Buffer(bytes, std::move(owner));
  }

  std::string_view view() const { return view_; }
  const char* data() const { return view_.data(); }
  size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  const std::shared_ptr<const void>& owner() const { return owner_; }

  // The part [position, position + length), sharing ownership. Clamped to the buffer's end.
  Buffer Sub(size_t position, size_t length = std::string_view::npos) const {
    return position >= view_.size() ? Buffer() : Buffer(view_.substr(position, length), owner_);
  }

 private:
  Buffer(std::string_view view, std::shared_ptr<const void> owner)
      : view_(view), owner_(std::move(owner)) {}

  std::string_view view_;
  std::shared_ptr<const void> owner_;
};

}  // namespace catamaran
