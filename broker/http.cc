#include "broker/http.h"

#include <httplib.h>

#include <utility>

#include "base/error.h"
#include "broker/http_loop.h"
#include "metadata/text.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;

// A request that is there as a whole, and its answer, to httplib's eyes: a socket that never waits.
class MemoryStream final : public httplib::Stream {
 public:
  explicit MemoryStream(std::string_view request) : request_(request) {}
  std::string TakeAnswer() { return std::move(answer_); }

  bool is_readable() const override { return !request_.empty(); }
  bool is_writable() const override { return true; }
  ssize_t read(char* bytes, size_t size) override {
    size = request_.copy(bytes, size);
    request_.remove_prefix(size);
    return static_cast<ssize_t>(size);
  }
  ssize_t write(const char* bytes, size_t size) override {
    answer_.append(bytes, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }

 private:
  std::string_view request_;
  std::string answer_;
};

// httplib's parser, routes and writer, without its sockets and threads: those give a slow client a
// thread (broker/http_loop.h has ours).
class Router final : public httplib::Server {
 public:
  std::string Answer(const std::string& head) {
    MemoryStream stream(head);
    bool closed = false;
    process_request(stream, /*close_connection=*/true, closed, nullptr);
    return stream.TakeAnswer();
  }
};

void AnswerProbe(const std::vector<ProbeCheck>& checks, httplib::Response& response) {
  bool ok = true;
  std::string body;
  for (const ProbeCheck& check : checks) {
    ok = ok && check.ok;
    body += Cat(check.ok ? "[+] " : "[-] ", check.name, check.detail.empty() ? "" : ": ",
                check.detail, "\n");
  }
  body += ok ? "ok\n" : "not ok\n";
  response.status = ok ? 200 : 503;
  response.set_content(body, "text/plain; charset=utf-8");
}

class HttpServerImpl final : public HttpServer {
 public:
  explicit HttpServerImpl(HttpSources sources) : sources_(std::move(sources)) {}

  absl::Status Listen(const HttpOptions& options) {
    router_.set_payload_max_length(0);
    Route();
    CATAMARAN_ASSIGN_OR_RETURN(
        loop_, HttpLoop::Start(options.host, options.port,
                               [this](const std::string& head) { return router_.Answer(head); }));
    return absl::OkStatus();
  }

  int port() const override { return loop_->port(); }

 private:
  void Route() {
    router_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(sources_.metrics(), "text/plain; version=0.0.4; charset=utf-8");
    });
    router_.Get("/livez", [this](const httplib::Request&, httplib::Response& response) {
      AnswerProbe(sources_.live(), response);
    });
    router_.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
      AnswerProbe(sources_.ready(), response);
    });
    router_.Get("/startupz", [this](const httplib::Request&, httplib::Response& response) {
      AnswerProbe(sources_.started(), response);
    });
    router_.set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (response.status != 404) return;
      response.set_content("Not found. There are /metrics, /livez, /readyz and /startupz.\n",
                           "text/plain; charset=utf-8");
    });
  }

  const HttpSources sources_;
  Router router_;
  std::unique_ptr<HttpLoop> loop_;  // ends first
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpOptions& options,
                                                              HttpSources sources) {
  auto server = std::make_unique<HttpServerImpl>(std::move(sources));
  CATAMARAN_RETURN_IF_ERROR(server->Listen(options));
  return absl::StatusOr<std::unique_ptr<HttpServer>>(std::move(server));
}

}  // namespace catamaran::broker
