// One TCP connection that speaks FIX: whole messages in, bytes out.
#pragma once

#include "gateway/fix/message.h"
#include "tools/simbroker/event_loop.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace millrace::sim {

/// Threads: one (the loop's). A handler may move the connection, give it other handlers or destroy
/// it.
class FixConnection {
public:
    /// More than this unsent: the other side does not read.
    static constexpr std::size_t kOutBytesMax = 1 << 20;

    struct Handlers {
        std::function<void(const fix::Message&)> message;
        std::function<void(const char* why)> closed;  // by the other side, or it sent rubbish
    };

    /// @param fd non-blocking; closed at the end.
    FixConnection(EventLoop& loop, int fd);
    ~FixConnection();
    FixConnection(const FixConnection&) = delete;
    FixConnection& operator=(const FixConnection&) = delete;

    void set(Handlers handlers) {
        handlers_ = std::make_shared<const Handlers>(std::move(handlers));
    }
    /// Sends, or keeps until it can be sent.
    void send(std::string_view bytes);
    /// Reads and sends nothing until resumed.
    void pause(bool on);
    [[nodiscard]] std::size_t unsent() const noexcept { return out_.size(); }

private:
    void on_socket(std::uint32_t events);
    void close(const char* why);
    void hand_out();
    void flush();

    EventLoop& loop_;
    int fd_;
    bool paused_ = false;
    bool want_write_ = false;
    std::string in_;
    std::string out_;
    std::shared_ptr<const Handlers> handlers_ = std::make_shared<const Handlers>();
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

/// Bytes of the first message in `bytes`, by its BodyLength; 0 = not all of it is there, npos = it
/// is no FIX message.
[[nodiscard]] std::size_t fix_message_bytes(std::string_view bytes) noexcept;

/// A whole message: BeginString, BodyLength, `fields` from MsgType on ("tag=value" each ended by
/// SOH), CheckSum.
[[nodiscard]] std::string seal_fix(std::string_view fields);

}  // namespace millrace::sim
