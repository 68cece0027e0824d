#include "client/rpc/append_encoder.h"

#include <google/protobuf/wire_format_lite.h>

#include <string>
#include <utility>
#include <vector>

#include "catamaran/v1/batch_service.pb.h"
#include "client/rpc/convert.h"

namespace catamaran::client::rpc {
namespace {

using google::protobuf::internal::WireFormatLite;

void AppendVarint(std::string* out, uint64_t value) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

// A field's tag and, since all fields here are length-delimited, its length.
void AppendField(std::string* out, int field, size_t length) {
  AppendVarint(out, WireFormatLite::MakeTag(field, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  AppendVarint(out, length);
}

size_t FieldSize(size_t length) {
  std::string head;
  AppendField(&head, 1, length);  // all field numbers here are below 16: a tag is one byte
  return head.size() + length;
}

grpc::Slice SliceOf(const Buffer& buffer) {
  auto* owner = new Buffer(buffer);
  return grpc::Slice(
      const_cast<char*>(buffer.data()), buffer.size(),
      [](void* held) { delete static_cast<Buffer*>(held); }, owner);
}

}  // namespace

grpc::ByteBuffer EncodeAppendStreamRequest(const core::SendAppend& send) {
  const std::string settings = AppendSettings(send).SerializeAsString();
  std::vector<std::string> refs;
  size_t append_size = settings.size();
  for (const core::AppendEntry& entry : send.entries) {
    refs.push_back(ToProto(entry.partition, entry.leader_epoch).SerializeAsString());
    append_size += FieldSize(FieldSize(refs.back().size()) + FieldSize(entry.batch.size()));
  }
  using Batch = v1::AppendBatchesRequest::PartitionBatch;
  std::string head;
  AppendVarint(&head, WireFormatLite::MakeTag(v1::AppendStreamRequest::kCorrelationIdFieldNumber,
                                              WireFormatLite::WIRETYPE_VARINT));
  AppendVarint(&head, static_cast<uint64_t>(send.correlation.value()));
  AppendField(&head, v1::AppendStreamRequest::kAppendFieldNumber, append_size);
  head += settings;
  std::vector<grpc::Slice> slices;
  for (size_t i = 0; i < send.entries.size(); ++i) {
    const Buffer& batch = send.entries[i].batch;
    AppendField(&head, v1::AppendBatchesRequest::kBatchesFieldNumber,
                FieldSize(refs[i].size()) + FieldSize(batch.size()));
    AppendField(&head, Batch::kPartitionFieldNumber, refs[i].size());
    head += refs[i];
    AppendField(&head, Batch::kBatchFieldNumber, batch.size());
    slices.emplace_back(std::exchange(head, {}));
    slices.push_back(SliceOf(batch));
  }
  if (!head.empty()) slices.emplace_back(head);
  return grpc::ByteBuffer(slices.data(), slices.size());
}

}  // namespace catamaran::client::rpc
