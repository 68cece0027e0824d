// ClusterService without gRPC: answers from the metadata image, and the watch of its changes.
#pragma once

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "broker/api/call.h"
#include "catamaran/v1/cluster_service.pb.h"
#include "metadata/metadata_service.h"

namespace catamaran::broker {

struct ClusterApiOptions {
  BrokerId broker = kNoBroker;  // this one
  std::string version;
  int64_t request_bytes_max = 16 << 20;
  int64_t batch_bytes_max = 8 << 20;
};

// Names and ids in one GetMetadata; more are kInvalidArgument.
inline constexpr int kMetadataTopicsPerRequestMax = 10'000;

// One running WatchMetadata. The carrier asks for one event at a time, when the one before is on
// its way, so that a watcher which doesn't read holds nothing; it's cut off by kWatchExpired when
// changes have moved on too far. Destroying it ends the watch (no callback runs after that, unless
// one is running already). Thread-safe.
class MetadataWatch {
 public:
  // The next event, or an error that ends the watch. Called once for each Next(), on the caller's
  // thread or on the one that publishes metadata.
  using OnEvent = absl::AnyInvocable<void(absl::StatusOr<v1::WatchMetadataResponse>)>;
  virtual ~MetadataWatch() = default;
  // At most one outstanding.
  virtual void Next(OnEvent on_event) = 0;
  // Ends the watch: an outstanding Next() is answered kCancelled. Idempotent.
  virtual void Cancel() = 0;
};

// Thread-safe; keeps no state of its own. `service` must outlive it, the calls and the watches.
class ClusterApi {
 public:
  ClusterApi(metadata::MetadataService* service, ClusterApiOptions options)
      : service_(service), options_(std::move(options)) {}

  void GetClusterInfo(const CallContext& call, v1::GetClusterInfoRequest request,
                      Reply<v1::GetClusterInfoResponse> reply);
  void GetMetadata(const CallContext& call, v1::GetMetadataRequest request,
                   Reply<v1::GetMetadataResponse> reply);
  // kWatchExpired, kOverloaded (too many watchers), kInvalidArgument.
  absl::StatusOr<std::unique_ptr<MetadataWatch>> WatchMetadata(
      const CallContext& call, const v1::WatchMetadataRequest& request);

 private:
  metadata::MetadataService* const service_;
  const ClusterApiOptions options_;
};

}  // namespace catamaran::broker
