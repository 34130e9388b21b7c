// The control line: one JSON object a line in, one out, over a Unix or a local TCP socket.
#pragma once

#include "core/result.h"
#include "tools/simbroker/event_loop.h"

#include <sys/socket.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace millrace::sim {

class ControlServer {
public:
    /// Longer lines end their connection.
    static constexpr std::size_t kLineBytesMax = 64 * 1024;
    /// Gives the answer to one line, without a newline.
    using Handler = std::function<std::string(const std::string& line)>;

    ControlServer(EventLoop& loop, Handler handler);
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;

    /// @param address a path (Unix socket, mode 0600, an old one is replaced) or a port on
    ///        127.0.0.1 (0 = any). @return the port, 0 for a path.
    [[nodiscard]] Result<std::uint16_t> listen(const std::string& address);
    /// While the handler runs: who is at the other end, as the kernel knows it. Of a path only; on
    /// a port pid 0.
    [[nodiscard]] ucred peer() const;

private:
    struct Client {
        std::string in;
        std::string out;
    };
    void accept_all();
    void on_client(int fd, std::uint32_t events);
    void answer_lines(Client& client);
    [[nodiscard]] bool flush(int fd, Client& client);
    void close_client(int fd);

    EventLoop& loop_;
    Handler handler_;
    int listen_fd_ = -1;
    std::string path_;
    std::map<int, Client> clients_;
    int answering_ = -1;
};

}  // namespace millrace::sim
