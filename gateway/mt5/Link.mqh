// The TCP connection to the broker stage: frames in, frames out. MQL5 has client sockets only, and
// no way to ask without waiting but the number of readable bytes: never more than those are asked
// for, because SocketRead waits for the rest until its timeout.

#include "JournalStore.mqh"

#define CONNECT_TIMEOUT_MS 1000
#define IO_TIMEOUT_MS 1000
#define RETRY_FIRST_MS 50
#define RETRY_MAX_MS 1000
#define AWAY_MS 60000
#define SWITCH_AFTER 5    // attempts in a row without a WELCOME, then the other address
#define REFUSALS_MAX 5    // of our key, in a row; then no more attempts
#define OUT_BYTES_MAX 65536

#define FRAME_NONE 0
#define FRAME_READY 1
#define FRAME_BROKEN 2

class Link
{
private:
    int socket_;
    uchar in_[];
    int in_begin_;
    int in_end_;
    uchar out_[];
    int out_end_;
    ulong retry_at_ms_;
    uint retry_ms_;
    ulong drained_ms_;  // when a read last found nothing
    int attempts_;      // since the last WELCOME
    bool at_backup_;
    int refusals_;      // since the last WELCOME
    bool stopped_;

    void choose_address()
    {
        if (g_config.backup_host == "" || attempts_ == 0 || attempts_ % SWITCH_AFTER != 0)
            return;
        at_backup_ = !at_backup_;
        PrintFormat("millrace: %d attempts in vain; going on at %s:%d", attempts_, host(), port());
    }

public:
    int frame_type;
    ulong frame_seq;
    uchar body[FRAME_BYTES_MAX];
    int body_bytes;
    ulong heard_ms;
    ulong sent_ms;
    /// No byte of the last read was there before this. The receiver may have slept in a blocking
    /// call since: age counts from here, so that a command may expire early, never late.
    ulong arrived_after_ms;
    bool rx_ack_due;  // the journal has a command that the other side has not been told of

    Link()
    {
        socket_ = INVALID_HANDLE;
        in_begin_ = 0;
        in_end_ = 0;
        out_end_ = 0;
        retry_at_ms_ = 0;
        retry_ms_ = 0;
        heard_ms = 0;
        sent_ms = 0;
        drained_ms_ = 0;
        arrived_after_ms = 0;
        rx_ack_due = false;
        begin_anew();
    }

    /// Forgets which address worked and that the key was refused.
    void begin_anew()
    {
        attempts_ = 0;
        at_backup_ = false;
        refusals_ = 0;
        stopped_ = false;
    }

    string host() { return at_backup_ ? g_config.backup_host : g_config.host; }
    int port() { return at_backup_ ? g_config.backup_port : g_config.port; }

    bool is_open() { return socket_ != INVALID_HANDLE; }
    int waiting_bytes() { return out_end_; }
    /// The other side is the one that is wanted: what worked is tried first next time.
    void welcomed()
    {
        retry_ms_ = 0;
        attempts_ = 0;
        refusals_ = 0;
    }
    void retry_late() { retry_ms_ = RETRY_MAX_MS; }
    /// After close(): not for a minute.
    void stay_away() { retry_at_ms_ = now_ms() + AWAY_MS; }

    /// After close(): our key was refused. That is no fault of the network: a minute, doubling, and
    /// after the fifth no more, until somebody has seen to it.
    void refused()
    {
        refusals_++;
        retry_at_ms_ = now_ms() + ((ulong)g_config.refused_ms << (refusals_ - 1));
        stopped_ = refusals_ >= REFUSALS_MAX;
        if (stopped_)
            Alert("millrace: the key was refused five times: no more attempts. Correct InpKey");
    }

    /// Connects if it is time to. At once, then after 50 ms, doubling to a second, for ever; five
    /// times at one address, then at the other.
    bool connect()
    {
        if (stopped_ || now_ms() < retry_at_ms_)
            return false;
        choose_address();
        attempts_++;
        retry_ms_ = (retry_ms_ == 0) ? RETRY_FIRST_MS : (uint)MathMin(RETRY_MAX_MS, retry_ms_ * 2);
        socket_ = SocketCreate(SOCKET_DEFAULT);
        if (socket_ == INVALID_HANDLE)
        {
            retry_at_ms_ = now_ms() + retry_ms_;
            return false;
        }
        if (!SocketConnect(socket_, host(), port(), CONNECT_TIMEOUT_MS))
        {
            if (GetLastError() == 4014)
                PrintFormat("millrace: %s is not an allowed address: add it under Tools, Options, "
                            "Expert Advisors", host());
            close();
            return false;
        }
        SocketTimeouts(socket_, IO_TIMEOUT_MS, IO_TIMEOUT_MS);
        heard_ms = now_ms();
        sent_ms = heard_ms;
        drained_ms_ = heard_ms;
        return true;
    }

    void close()
    {
        if (socket_ != INVALID_HANDLE)
            SocketClose(socket_);
        socket_ = INVALID_HANDLE;
        in_begin_ = 0;
        in_end_ = 0;
        out_end_ = 0;
        rx_ack_due = false;
        retry_at_ms_ = now_ms() + retry_ms_;
    }

    /// Takes in what has arrived. @return false if the connection is gone.
    bool read()
    {
        arrived_after_ms = drained_ms_;
        for (int pass = 0; pass < 8; pass++)
        {
            ulong asked_ms = now_ms();  // before the look: what comes during it is younger
            ResetLastError();
            uint readable = SocketIsReadable(socket_);
            if (readable == 0)
            {
                drained_ms_ = asked_ms;
                return SocketIsConnected(socket_);
            }
            uchar part[];
            ArrayResize(part, 0);
            int n = SocketRead(socket_, part, (uint)MathMin(readable, 16384), 1);
            if (n <= 0)  // a speculative 1 and nothing there, or an error
            {
                // 5273 may be set by a mere timeout too; a real error closes the socket.
                drained_ms_ = asked_ms;
                return SocketIsConnected(socket_);
            }
            heard_ms = now_ms();
            take(part, n);
            if (n < (int)readable)
                return true;
        }
        return true;
    }

    void take(const uchar &part[], const int n)
    {
        if (in_begin_ > 0)
        {
            for (int i = in_begin_; i < in_end_; i++)
                in_[i - in_begin_] = in_[i];
            in_end_ -= in_begin_;
            in_begin_ = 0;
        }
        if (ArraySize(in_) < in_end_ + n)
            ArrayResize(in_, in_end_ + n, 16384);
        for (int i = 0; i < n; i++)
            in_[in_end_ + i] = part[i];
        in_end_ += n;
    }

    /// The next whole frame into frame_type, frame_seq, body; FRAME_NONE if more bytes are needed.
    /// A stream that broke the framing cannot be trusted again.
    int next()
    {
        if (in_end_ - in_begin_ < FRAME_HEAD_BYTES)
            return FRAME_NONE;
        uint bytes = get_u32(in_, in_begin_);
        if (bytes < FRAME_HEAD_BYTES || bytes > FRAME_BYTES_MAX ||
            get_u8(in_, in_begin_ + 5) != WIRE_VERSION)
            return FRAME_BROKEN;
        if (in_end_ - in_begin_ < (int)bytes)
            return FRAME_NONE;
        if (frame_crc(in_, in_begin_, (int)bytes) != get_u32(in_, in_begin_ + 8))
            return FRAME_BROKEN;
        frame_type = get_u8(in_, in_begin_ + 4);
        frame_seq = get_u64(in_, in_begin_ + 16);
        body_bytes = (int)bytes - FRAME_HEAD_BYTES;
        for (int i = 0; i < body_bytes; i++)
            body[i] = in_[in_begin_ + FRAME_HEAD_BYTES + i];
        in_begin_ += (int)bytes;
        return FRAME_READY;
    }

    void send(const int type, const ulong seq, const uchar &frame_body[], const int bytes)
    {
        uchar frame[];
        make_frame(frame, type, seq, frame_body, bytes);
        int n = ArraySize(frame);
        if (ArraySize(out_) < out_end_ + n)
            ArrayResize(out_, out_end_ + n, 16384);
        for (int i = 0; i < n; i++)
            out_[out_end_ + i] = frame[i];
        out_end_ += n;
    }

    void send_number(const int type, const ulong number)
    {
        uchar b[8];
        put_u64(b, 0, number);
        send(type, 0, b, 8);
    }

    /// Sends what waits, after the journal has what it speaks of. @return false if the connection
    /// (or the journal) is gone.
    bool flush()
    {
        if (!g_journal.flush())
            return false;
        while (out_end_ > 0)
        {
            if (!SocketIsWritable(socket_))
                return SocketIsConnected(socket_);
            int n = SocketSend(socket_, out_, (uint)out_end_);
            if (n <= 0)
                return false;
            sent_ms = now_ms();
            for (int i = n; i < out_end_; i++)
                out_[i - n] = out_[i];
            out_end_ -= n;
        }
        return true;
    }

    /// Tells which commands are in the journal, if that has not been told.
    void send_rx_ack()
    {
        if (!rx_ack_due)
            return;
        rx_ack_due = false;
        send_number(FRAME_RX_ACK, g_journal.command_seq);
    }

    /// Right before a request leaves: the other side learns now that its command is journalled, not
    /// after the trade server's answer. A peer that never heard it may call it not received.
    void announce_send()
    {
        if (!is_open())
            return;
        send_rx_ack();
        flush();
    }

    /// The same, and that the call blocks for `ms` at most.
    void announce_busy(const uint ms)
    {
        if (!is_open())
            return;
        send_rx_ack();
        uchar b[8];
        put_u32(b, 0, ms);
        put_u32(b, 4, 0);
        send(FRAME_BUSY, 0, b, 8);
        flush();
    }

    /// The blocking call is over: while it lasted nobody could be heard.
    void forgive_silence() { heard_ms = now_ms(); }
};

Link g_link;
