#include "broker/http.h"

#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "broker/http_loop.h"
#include "broker/logging.h"
#include "gtest/gtest.h"

namespace catamaran::broker {
namespace {

struct Probes {
  std::atomic<bool> ready{false};
};

HttpSources SourcesOf(Probes* probes) {
  HttpSources sources;
  sources.metrics = [] { return std::string("metric 1\n"); };
  sources.live = [] { return std::vector<ProbeCheck>{{"event_loops", true, ""}}; };
  sources.started = [] { return std::vector<ProbeCheck>{{"recovery", true, "ended"}}; };
  sources.ready = [probes] {
    return std::vector<ProbeCheck>{{"metadata", true, "loaded"},
                                   {"serving", probes->ready.load(), "the broker is stopping"}};
  };
  return sources;
}

TEST(Http, AnswersMetricsAndProbesWithReasons) {
  Probes probes;
  absl::StatusOr<std::unique_ptr<HttpServer>> server = HttpServer::Start({}, SourcesOf(&probes));
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_GT((*server)->port(), 0);
  httplib::Client client("127.0.0.1", (*server)->port());
  auto metrics = client.Get("/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_EQ(metrics->status, 200);
  EXPECT_EQ(metrics->body, "metric 1\n");
  EXPECT_NE(metrics->get_header_value("Content-Type").find("version=0.0.4"), std::string::npos);
  EXPECT_EQ(client.Get("/livez")->status, 200);
  EXPECT_EQ(client.Get("/startupz")->status, 200);
  auto ready = client.Get("/readyz");
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->status, 503);
  EXPECT_EQ(ready->body, "[+] metadata: loaded\n[-] serving: the broker is stopping\nnot ok\n");
  probes.ready = true;
  EXPECT_EQ(client.Get("/readyz")->status, 200);
  auto missing = client.Get("/nothing");
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->status, 404);
  EXPECT_NE(missing->body.find("/readyz"), std::string::npos);
  auto post = client.Post("/metrics", "x", "text/plain");
  EXPECT_TRUE(!post || post->status >= 400);
}

TEST(Http, ATakenPortIsATypedError) {
  Probes probes;
  absl::StatusOr<std::unique_ptr<HttpServer>> first = HttpServer::Start({}, SourcesOf(&probes));
  ASSERT_TRUE(first.ok());
  HttpOptions options;
  options.port = (*first)->port();
  absl::StatusOr<std::unique_ptr<HttpServer>> second =
      HttpServer::Start(options, SourcesOf(&probes));
  EXPECT_EQ(ReasonOf(second.status()), Reason::kAddressInUse) << second.status();
  EXPECT_NE(second.status().message().find("listen.http"), absl::string_view::npos);
  options.host = "192.0.2.1";
  options.port = 0;
  EXPECT_EQ(ReasonOf(HttpServer::Start(options, SourcesOf(&probes)).status()),
            Reason::kInvalidConfig);
}

// A client that speaks HTTP by hand.
class RawClient {
 public:
  explicit RawClient(int port) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    timeval patience{8, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ =
        connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  RawClient(RawClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), connected_(other.connected_) {}
  ~RawClient() {
    if (socket_ >= 0) close(socket_);
  }
  bool connected() const { return connected_; }
  bool Send(std::string_view bytes) {
    return send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
  }
  std::string ReadToEnd() {
    std::string all;
    char bytes[4096];
    for (ssize_t got; (got = recv(socket_, bytes, sizeof(bytes), 0)) > 0;) {
      all.append(bytes, static_cast<size_t>(got));
    }
    return all;
  }

 private:
  int socket_;
  bool connected_ = false;
};

// Takes milliseconds on an idle machine; behind a client that is waited for it would take that
// one's deadline, five seconds.
constexpr Duration kProbeMax = std::chrono::seconds(4);

void ExpectLive(int port) {
  const auto start = SystemClock().Now();
  RawClient probe(port);
  ASSERT_TRUE(probe.connected());
  ASSERT_TRUE(probe.Send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_EQ(probe.ReadToEnd().substr(0, 15), "HTTP/1.1 200 OK");
  EXPECT_LT(SystemClock().Now() - start, kProbeMax);
}

TEST(Http, DrippingClientsDelayNobody) {
  Probes probes;
  auto server = *HttpServer::Start({}, SourcesOf(&probes));
  std::vector<RawClient> dripping;
  for (int i = 0; i < 100; ++i) {
    dripping.emplace_back(server->port());
    ASSERT_TRUE(dripping.back().connected());
  }
  for (char byte : std::string("GET /metrics")) {
    for (RawClient& client : dripping) ASSERT_TRUE(client.Send(std::string_view(&byte, 1)));
    ExpectLive(server->port());
  }
  // One of them goes on to the end and is answered like anybody.
  ASSERT_TRUE(dripping[50].Send(" HTTP/1.1\r\n\r\n"));
  EXPECT_NE(dripping[50].ReadToEnd().find("metric 1"), std::string::npos);
}

TEST(Http, MoreConnectionsThanTheTableHoldsDelayNobody) {
  Probes probes;
  auto server = *HttpServer::Start({}, SourcesOf(&probes));
  std::vector<RawClient> silent;
  for (size_t i = 0; i < kHttpConnectionsMax + 50; ++i) silent.emplace_back(server->port());
  ExpectLive(server->port());
  // The oldest had to go.
  EXPECT_EQ(silent.front().ReadToEnd(), "");
}

TEST(Http, ADripperIsClosedAtItsDeadline) {
  Probes probes;
  auto server = *HttpServer::Start({}, SourcesOf(&probes));
  RawClient client(server->port());
  ASSERT_TRUE(client.Send("G"));
  const auto start = SystemClock().Now();
  EXPECT_EQ(client.ReadToEnd(), "");
  EXPECT_LT(SystemClock().Now() - start, 3 * kHttpHeadTimeout / 2);
}

TEST(Http, GarbageIsAnsweredOrClosed) {
  Probes probes;
  auto server = *HttpServer::Start({}, SourcesOf(&probes));
  for (const std::string& garbage :
       {std::string("\r\n\r\n"), std::string("\0\0\0\0\r\n\r\n", 8), std::string("GET\r\n\r\n"),
        std::string("GET /livez HTTP/9.9\r\n\r\n"),
        std::string("GET /livez HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nxx"),
        std::string("POST /livez HTTP/1.1\r\nContent-Length: 9\r\n\r\nxx"),
        std::string("POST /livez HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz"),
        std::string("GET /livez HTTP/1.1\r\nRange: bytes=9-1,-5,0-\r\n\r\n"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}) {
    RawClient client(server->port());
    ASSERT_TRUE(client.Send(garbage));
    std::string answer = client.ReadToEnd();
    EXPECT_TRUE(answer.empty() || answer.substr(0, 9) == "HTTP/1.1 ") << garbage << answer;
  }
  RawClient large(server->port());
  large.Send("GET /livez HTTP/1.1\r\nX: " + std::string(2 * kHttpHeadBytesMax, 'x') + "\r\n\r\n");
  EXPECT_NE(large.ReadToEnd().find("431"), std::string::npos);
  ExpectLive(server->port());
}

TEST(Logging, LinesAreOneLineAndEscaped) {
  const std::pair<std::string_view, std::string> fields[] = {
      {"path", "a b"}, {"count", "3"}, {"q", "\"\n"}};
  EXPECT_EQ(FormatLogLine(LogFormat::kText, 1'700'000'000'123, LogLevel::kWarning, 4, "disk_full",
                          "No space.", fields, 3),
            "2023-11-14T22:13:20.123Z warning node=4 disk_full: No space. path=\"a b\" count=3 "
            "q=\"\\\"\\n\"");
  EXPECT_EQ(
      FormatLogLine(LogFormat::kJson, 0, LogLevel::kInfo, 1, "e", "say \"x\"\n\x01", fields, 1),
      "{\"time\":\"1970-01-01T00:00:00.000Z\",\"level\":\"info\",\"node\":1,\"event\":\"e\","
      "\"message\":\"say \\\"x\\\"\\n\\u0001\",\"path\":\"a b\"}");
}

}  // namespace
}  // namespace catamaran::broker
