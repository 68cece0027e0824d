// Throughput and round trips of the client library against a real broker on loopback, beside the
// machine's limits measured in the same run.
//
//   client_bench <catamarand> [records] [batch_bytes] [linger_ms]
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "catamaran/v1/producer_service.grpc.pb.h"
#include "client/admin.h"
#include "client/consumer.h"
#include "client/producer.h"
#include "tests/client/broker_process.h"

namespace catamaran::client {
namespace {

constexpr int kValueBytes = 100;
constexpr int kRoundTrips = 1'500;
constexpr int kWarmUpRoundTrips = 200;

void Require(const absl::Status& status, const char* what) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", what, std::string(status.message()).c_str());
  std::exit(1);
}

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

double CpuSecondsOf(const rusage& usage) {
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double OwnCpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return CpuSecondsOf(usage);
}

double CpuSecondsOfProcess(pid_t pid) {
  std::FILE* file = std::fopen(absl::StrCat("/proc/", pid, "/stat").c_str(), "r");
  if (file == nullptr) return 0;
  unsigned long user = 0, system = 0;
  const int read = std::fscanf(file, "%*d %*s %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                               &user, &system);
  std::fclose(file);
  return read == 2 ? static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK))
                   : 0;
}

struct Percentiles {
  double p50_us, p99_us;
};

template <class Once>
Percentiles Measure(const Once& once) {
  std::vector<double> times;
  for (int i = 0; i < kWarmUpRoundTrips + kRoundTrips; ++i) {
    const MonotonicTime start = SystemClock().Now();
    once();
    if (i >= kWarmUpRoundTrips) times.push_back(Seconds(SystemClock().Now() - start) * 1e6);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times[times.size() * 99 / 100]};
}

class Bench {
 public:
  Bench(ChildBroker* broker, int64_t records, ProducerOptions options)
      : broker_(broker), records_(records), options_(std::move(options)) {
    client_.bootstrap = {broker->address()};
    auto admin = Admin::Create(client_);
    Require(admin.status(), "admin");
    admin_ = *std::move(admin);
  }

  void CreateTopic(const std::string& name, const char* durability) {
    NewTopic topic;
    topic.name = name;
    topic.partition_count = 1;
    topic.configs["durability"] = durability;
    Require(admin_->CreateTopic(topic).status(), "create topic");
  }

  void Produce(const std::string& topic, const char* label, bool callbacks) {
    ProducerOptions options;
    options.batch_bytes = options_.batch_bytes;
    options.linger = options_.linger;
    auto producer = Producer::Create(client_, std::move(options));
    Require(producer.status(), "producer");
    const std::string value(kValueBytes, 'v');
    ProducerRecord record;
    record.topic = topic;
    record.value = value;
    int64_t delivered = 0;
    const double own = OwnCpuSeconds(), theirs = CpuSecondsOfProcess(broker_->pid());
    const MonotonicTime start = SystemClock().Now();
    for (int64_t i = 0; i < records_; ++i) {
      if (callbacks) {
        Require((*producer)->Send(record, [&](const auto& d) { delivered += d.ok() ? 1 : 0; }),
                "send");
      } else {
        Require((*producer)->Send(record), "send");
      }
    }
    Require((*producer)->Flush(), "flush");
    Print(label, SystemClock().Now() - start, own, theirs);
    const ProducerStats stats = (*producer)->stats();
    std::printf("    %.0f records a batch, %llu batches\n",
                static_cast<double>(records_) / static_cast<double>(stats.batches_sent),
                static_cast<unsigned long long>(stats.batches_sent));
  }

  void Consume(const std::string& topic, const char* label) {
    auto consumer = Consumer::Create(client_, {});
    Require(consumer.status(), "consumer");
    Require((*consumer)->Assign({{{topic, PartitionIndex(0)}, StartPosition::Earliest()}}),
            "assign");
    const double own = OwnCpuSeconds(), theirs = CpuSecondsOfProcess(broker_->pid());
    const MonotonicTime start = SystemClock().Now();
    int64_t read = 0;
    size_t bytes = 0;
    while (read < records_) {
      auto polled = (*consumer)->Poll(std::chrono::seconds(10));
      Require(polled.status(), "poll");
      if (polled->empty()) break;
      for (const ConsumedRecord& record : *polled) bytes += record.value->size();
      read += static_cast<int64_t>(polled->size());
    }
    Print(label, SystemClock().Now() - start, own, theirs);
    if (bytes != static_cast<size_t>(records_ * kValueBytes)) std::printf("    MISSING RECORDS\n");
  }

  Percentiles RoundTrip(const std::string& topic) {
    auto producer = Producer::Create(client_, {});
    Require(producer.status(), "producer");
    const std::string value(kValueBytes, 'v');
    ProducerRecord record;
    record.topic = topic;
    record.value = value;
    return Measure([&] { Require((*producer)->SendFuture(record).get().status(), "send"); });
  }

 private:
  void Print(const char* label, Duration took, double own, double theirs) {
    const double seconds = Seconds(took);
    std::printf("%-40s %8.0f k records/s %7.1f MB/s   CPU s: client %.2f broker %.2f\n", label,
                static_cast<double>(records_) / seconds / 1e3,
                static_cast<double>(records_) * kValueBytes / seconds / 1e6, OwnCpuSeconds() - own,
                CpuSecondsOfProcess(broker_->pid()) - theirs);
    std::fflush(stdout);
  }

  ChildBroker* const broker_;
  const int64_t records_;
  const ProducerOptions options_;
  ClientOptions client_;
  std::unique_ptr<Admin> admin_;
};

class EchoService final : public v1::ProducerService::CallbackService {
  grpc::ServerUnaryReactor* InitProducerId(grpc::CallbackServerContext* context,
                                           const v1::InitProducerIdRequest*,
                                           v1::InitProducerIdResponse* response) override {
    response->mutable_producer()->set_producer_id(1);
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
};

Percentiles Echo() {
  EchoService service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  auto server = builder.BuildAndStart();
  auto stub = v1::ProducerService::NewStub(
      grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials()));
  v1::InitProducerIdRequest request;
  request.mutable_current()->set_producer_id(1);
  return Measure([&] {
    grpc::ClientContext context;
    v1::InitProducerIdResponse response;
    if (!stub->InitProducerId(&context, request, &response).ok()) std::exit(1);
  });
}

Percentiles Fdatasync(const std::string& directory) {
  const int file = ::open((directory + "/fdatasync").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const std::string block(4096, 'x');
  off_t at = 0;
  const Percentiles result = Measure([&] {
    if (::pwrite(file, block.data(), block.size(), at) < 0 || ::fdatasync(file) != 0) std::exit(1);
    at += static_cast<off_t>(block.size());
  });
  ::close(file);
  return result;
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: client_bench <catamarand> [records] [batch_bytes] [linger_ms]\n");
    return 2;
  }
  const int64_t records = argc > 2 ? std::atoll(argv[2]) : 5'000'000;
  ProducerOptions options;
  if (argc > 3) options.batch_bytes = static_cast<size_t>(std::atoll(argv[3]));
  if (argc > 4) options.linger = std::chrono::milliseconds(std::atoll(argv[4]));
  auto broker = ChildBroker::Start(argv[1]);
  Require(broker.status(), "broker");
  std::printf("%lld records of %d bytes, batch_bytes %zu\n", static_cast<long long>(records),
              kValueBytes, options.batch_bytes);

  Bench bench(broker->get(), records, std::move(options));
  bench.CreateTopic("async", "async");
  bench.CreateTopic("sync", "sync");
  bench.CreateTopic("callbacks", "async");
  bench.Produce("async", "produce acks=all durability=async", false);
  bench.Consume("async", "consume");
  bench.Produce("callbacks", "produce, a callback per record", true);
  bench.Produce("sync", "produce acks=all durability=sync", false);

  const Percentiles echo = Echo();
  const Percentiles sync = Fdatasync((*broker)->directory());
  const Percentiles async_trip = bench.RoundTrip("async");
  const Percentiles sync_trip = bench.RoundTrip("sync");
  std::printf("one at a time, us                          p50      p99\n");
  auto row = [](const char* label, const Percentiles& p) {
    std::printf("  %-36s %8.0f %8.0f\n", label, p.p50_us, p.p99_us);
  };
  row("bare unary gRPC echo", echo);
  row("4 KiB pwrite + fdatasync", sync);
  row("produce one record, async", async_trip);
  row("produce one record, sync", sync_trip);
  std::printf("sync round trip / (echo + fdatasync): %.2f\n",
              sync_trip.p50_us / (echo.p50_us + sync.p50_us));
  return 0;
}

}  // namespace
}  // namespace catamaran::client

int main(int argc, char** argv) { return catamaran::client::Main(argc, argv); }
