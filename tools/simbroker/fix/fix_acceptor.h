// Where FIX clients connect. The first message of a connection says whose it is; from then on it is
// that session's.
#pragma once

#include "core/result.h"
#include "tools/simbroker/fix/fix_session.h"

#include <netinet/in.h>

#include <map>
#include <memory>
#include <vector>

namespace millrace::sim {

/// Threads: one (the loop's).
class FixAcceptor {
public:
    /// A connection that says nothing is closed.
    static constexpr Nanos kFirstMessage = seconds(30);

    explicit FixAcceptor(EventLoop& loop) : loop_{loop} {}
    ~FixAcceptor();
    FixAcceptor(const FixAcceptor&) = delete;
    FixAcceptor& operator=(const FixAcceptor&) = delete;

    /// @param session outlives this. Two with the same CompIDs: the configuration refuses them.
    void add(FixSession& session) { sessions_.push_back(&session); }
    /// @param address port 0 = any. @return the port; IoError with errno.
    [[nodiscard]] Result<std::uint16_t> listen(const sockaddr_in& address);

private:
    void accept_all();
    void on_first(int fd, const fix::Message& message);
    void turn_away(int fd, const char* why);

    EventLoop& loop_;
    int listen_fd_ = -1;
    std::vector<FixSession*> sessions_;
    std::map<int, std::unique_ptr<FixConnection>> strangers_;  // nothing heard of them yet
    std::map<int, EventLoop::TimerId> patience_;
};

}  // namespace millrace::sim
