// HistoryReader: answers consumers' questions for recorded ticks out of the log, on a thread of its
// own at the lowest priority, one after the other: quotes never wait for it.
#pragma once

#include "gateway/ticks/tick_history.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace millrace {

/// Threads: ask() and take() belong to the TickPublisher's.
class HistoryReader final : public TickHistory {
public:
    /// Questions and answers that wait; each answer is at most 4 MB.
    static constexpr std::size_t kWaitingMax = 16;

    /// @param directory of the tick log; need not be there yet: then nothing is found.
    explicit HistoryReader(std::string directory);
    /// Waits for the question that is being answered.
    ~HistoryReader() override;

    [[nodiscard]] bool ask(const HistoryQuestion& question) noexcept override;
    [[nodiscard]] std::unique_ptr<HistoryAnswer> take() noexcept override;

private:
    void run();
    [[nodiscard]] std::unique_ptr<HistoryAnswer> answer(const HistoryQuestion& question) const;

    const std::string directory_;
    std::mutex mutex_;  // of all that follows
    std::condition_variable wake_;
    std::deque<HistoryQuestion> questions_;
    std::deque<std::unique_ptr<HistoryAnswer>> answers_;
    bool reading_ = false;  // one that is in neither
    bool stop_ = false;
    std::thread thread_;
};

}  // namespace millrace
