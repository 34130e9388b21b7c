// A FIX venue in a process of its own (acceptor.py), and what tests ask of it.
#pragma once

#include "tests/ops/quiet_port.h"

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace millrace::fix::test {

/// A folder of its own, removed at the end.
class Folder {
public:
    Folder();
    ~Folder();
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] std::string operator/(const std::string& name) const {
        return path_ + "/" + name;
    }

private:
    std::string path_;
};

/// A child in a session of its own that dies with us. Its standard output can be read by lines.
class Child {
public:
    Child() = default;
    ~Child() { kill9(); }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    /// @param log gets standard error, appended.
    void start(std::vector<std::string> arguments, const std::string& log);
    /// The next line; empty after 180 s or at the end.
    std::string line();
    void kill9();
    void terminate() const;
    /// SIGSTOP, and waits until it stands still.
    void pause() const;
    void go_on() const;
    /// Waits for its end. @return the wait status, -1 after 180 s.
    int wait_end();
    [[nodiscard]] bool runs() const { return pid_ > 0; }

private:
    pid_t pid_ = -1;
    int out_ = -1;
};

/// An execution in the venue's own book.
struct Executed {
    std::string cl_ord_id;  // as the order was sent
    double quantity = 0;
    char side = '1';  // 1 buy, 2 sell
};

class Acceptor {
public:
    /// @param tls with a certificate of its own, `certificate()`.
    explicit Acceptor(bool tls = false) : port_{quiet_.number()}, tls_{tls} {}

    /// On the same port and with the same books each time.
    void start();
    void kill9() { child_.kill9(); }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    [[nodiscard]] std::string certificate() const { return folder_ / "cert.pem"; }

    /// @param command without braces: "\"cmd\": \"drop\"". @return the answer; empty if it is dead.
    std::string control(const std::string& command);
    /// A number of its statistics.
    int stat(const std::string& name);
    /// What has been executed, read from its book.
    [[nodiscard]] std::vector<Executed> executions() const;

private:
    Folder folder_;
    Child child_;
    millrace::test::QuietPort quiet_;
    std::uint16_t port_;
    bool tls_;
};

/// Polls until it holds. @return false after 180 s.
bool eventually(const std::function<bool()>& condition);

}  // namespace millrace::fix::test
