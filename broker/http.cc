#include "broker/http.h"

#include <httplib.h>

#include <atomic>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/mutex.h"
#include "metadata/text.h"

namespace catamaran::broker {
namespace {

using metadata::Cat;

// httplib's own pool has an unbounded queue. Here the accepting thread waits while the queue is
// full, so that further connections stay in the kernel's bounded backlog.
class BoundedTaskQueue final : public httplib::TaskQueue {
 public:
  explicit BoundedTaskQueue(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
  }

  void enqueue(std::function<void()> task) override {
    MutexLock lock(&mu_);
    while (tasks_.size() >= kHttpQueueMax && !stopping_) space_.Wait(&mu_);
    tasks_.push_back(std::move(task));
    work_.Signal();
  }

  void shutdown() override {
    {
      MutexLock lock(&mu_);
      stopping_ = true;
      work_.SignalAll();
      space_.SignalAll();
    }
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  void Run() {
    for (;;) {
      std::function<void()> task;
      {
        MutexLock lock(&mu_);
        while (tasks_.empty() && !stopping_) work_.Wait(&mu_);
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
        space_.Signal();
      }
      task();
    }
  }

  Mutex mu_;
  CondVar work_;
  CondVar space_;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
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
  ~HttpServerImpl() override {
    server_.stop();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Listen(const HttpOptions& options) {
    server_.new_task_queue = [this, threads = options.threads] {
      MutexLock lock(&mu_);
      running_ = true;
      started_.SignalAll();
      return new BoundedTaskQueue(threads);
    };
    server_.set_read_timeout(kHttpTimeoutSeconds, 0);
    server_.set_write_timeout(kHttpTimeoutSeconds, 0);
    server_.set_idle_interval(1, 0);
    server_.set_keep_alive_max_count(100);
    server_.set_keep_alive_timeout(kHttpTimeoutSeconds);
    server_.set_payload_max_length(0);
    // httplib's default adds SO_REUSEPORT, by which a second broker would silently share the port.
    server_.set_socket_options([](socket_t socket) {
      int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    Route();
    port_ = options.port;
    bool bound = true;
    if (options.port == 0) {
      port_ = server_.bind_to_any_port(options.host.c_str());
      bound = port_ > 0;
    } else {
      bound = server_.bind_to_port(options.host.c_str(), options.port);
    }
    if (!bound) {
      return MakeError(
          Reason::kInvalidArgument,
          Cat("The HTTP port can't be opened on ", options.host, ":", options.port,
              ": the port is taken or the address isn't this machine's. Set listen.http "
              "to another one."),
          {{"address", Cat(options.host, ":", options.port)}});
    }
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // A stop() before httplib takes itself for running would be lost, and the join wait for ever.
    // It makes its task queue just after that point.
    MutexLock lock(&mu_);
    while (!running_) started_.Wait(&mu_);
    return absl::OkStatus();
  }

  int port() const override { return port_; }

 private:
  void Route() {
    server_.Get("/metrics", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content(sources_.metrics(), "text/plain; version=0.0.4; charset=utf-8");
    });
    server_.Get("/livez", [this](const httplib::Request&, httplib::Response& response) {
      AnswerProbe(sources_.live(), response);
    });
    server_.Get("/readyz", [this](const httplib::Request&, httplib::Response& response) {
      AnswerProbe(sources_.ready(), response);
    });
    server_.Get("/startupz", [this](const httplib::Request&, httplib::Response& response) {
      AnswerProbe(sources_.started(), response);
    });
    server_.set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (response.status != 404) return;
      response.set_content("Not found. There are /metrics, /livez, /readyz and /startupz.\n",
                           "text/plain; charset=utf-8");
    });
  }

  const HttpSources sources_;
  httplib::Server server_;
  int port_ = 0;
  Mutex mu_;
  CondVar started_;
  bool running_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpOptions& options,
                                                              HttpSources sources) {
  auto server = std::make_unique<HttpServerImpl>(std::move(sources));
  CATAMARAN_RETURN_IF_ERROR(server->Listen(options));
  return absl::StatusOr<std::unique_ptr<HttpServer>>(std::move(server));
}

}  // namespace catamaran::broker
