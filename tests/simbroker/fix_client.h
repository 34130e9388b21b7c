// A FIX 4.4 client by hand, for the FIX side of the simulated broker: it shares no code with it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace millrace::sim::test {

/// Fields of one message in order.
struct FixFields {
    std::vector<std::pair<int, std::string>> all;
    /// Of the first field with this tag; empty = none.
    [[nodiscard]] std::string operator[](int tag) const {
        for (const auto& [t, value] : all) {
            if (t == tag) {
                return value;
            }
        }
        return "";
    }
};

class FixClient {
public:
    explicit FixClient(std::uint16_t port) : port_{port} {}
    ~FixClient() { close(); }
    FixClient(const FixClient&) = delete;
    FixClient& operator=(const FixClient&) = delete;

    void connect() {
        close();
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port_);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ASSERT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    }
    /// @return the answer to the Logon.
    std::optional<FixFields> log_on(const std::string& more = "") {
        connect();
        send("A", "98=0|108=30|" + more);
        return next();
    }
    /// @param fields "tag=value|" each. @param number 0 = the next.
    void send(const std::string& type, const std::string& fields, unsigned number = 0,
              const std::string& header = "") {
        number = number == 0 ? next_out++ : number;
        std::string body = "35=" + type + "|49=DESK|56=VENUE|34=" + std::to_string(number) +
                           "|52=20261123-05:00:00.000|" + header + fields;
        std::string text = "8=FIX.4.4|9=" + std::to_string(body.size()) + "|" + body;
        for (char& c : text) {
            c = c == '|' ? '\x01' : c;
        }
        unsigned sum = 0;
        for (const char c : text) {
            sum += static_cast<unsigned char>(c);
        }
        char trailer[16];
        std::snprintf(trailer, sizeof trailer, "10=%03u\x01", sum % 256);
        send_bytes(text + trailer);
    }
    void send_bytes(const std::string& text) const {
        ASSERT_EQ(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
    }
    /// The next message of this type ("" = any but heartbeats), others passed over; nothing if the
    /// connection ends, or after 180 s.
    std::optional<FixFields> next(const std::string& type = "") {
        while (auto message = read()) {
            const std::string of = (*message)[35];
            if (type.empty() ? of != "0" && of != "1" : of == type) {
                return message;
            }
        }
        return std::nullopt;
    }
    std::optional<FixFields> next_of_any() { return read(); }
    /// Until the other side closes.
    bool wait_closed() {
        while (read()) {
        }
        return ended_;
    }
    void close() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
        fd_ = -1;
        in_.clear();
        ended_ = false;
    }

    unsigned next_out = 1;

private:
    std::optional<FixFields> read() {
        for (;;) {
            const std::size_t trailer = in_.find(
                "\x01"
                "10=");
            if (trailer != std::string::npos && in_.size() >= trailer + 8) {
                return take(trailer + 8);
            }
            pollfd ready{fd_, POLLIN, 0};
            char bytes[4096];
            const ssize_t n =
                ::poll(&ready, 1, 180'000) > 0 ? ::recv(fd_, bytes, sizeof bytes, 0) : -1;
            ended_ = n == 0 || (n < 0 && ready.revents != 0);
            if (n <= 0) {
                return std::nullopt;
            }
            in_.append(bytes, static_cast<std::size_t>(n));
        }
    }
    FixFields take(std::size_t bytes) {
        FixFields fields;
        for (std::size_t at = 0; at < bytes;) {
            const std::size_t equals = in_.find('=', at);
            const std::size_t end = in_.find('\x01', equals);
            fields.all.emplace_back(std::atoi(in_.c_str() + at),
                                    in_.substr(equals + 1, end - equals - 1));
            at = end + 1;
        }
        in_.erase(0, bytes);
        return fields;
    }

    std::uint16_t port_;
    int fd_ = -1;
    bool ended_ = false;
    std::string in_;
};

}  // namespace millrace::sim::test
