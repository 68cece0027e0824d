#include "broker/http.h"

#include <httplib.h>

#include <atomic>
#include <memory>
#include <string>

#include "base/error.h"
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
  EXPECT_EQ(ReasonOf(second.status()), Reason::kInvalidArgument) << second.status();
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
