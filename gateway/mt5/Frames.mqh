// Frames over a TCP connection, of the bridge protocol and of ticks. MQL5 has client sockets only,
// and no way to ask without waiting but the number of readable bytes: never more than those are
// asked for, because SocketRead waits for the rest until its timeout.

#include "Config.mqh"
#include "Wire.mqh"

#define FRAME_NONE 0
#define FRAME_READY 1
#define FRAME_BROKEN 2

// -- handshake -----------------------------------------------------------------------------------

/// What the other side has to answer: never the same twice, and of no use without the key. MQL5 has
/// no random source that is good enough by itself.
/// @param theirs its own, 32 bytes. @return false: the terminal cannot compute SHA-256.
bool draw_nonce(const uchar &theirs[], const ulong salt, uchar &nonce[])
{
    uchar seed[56];
    uchar mac[];
    for (int i = 0; i < NONCE_BYTES; i++)
        seed[i] = theirs[i];
    put_u64(seed, 32, GetMicrosecondCount());
    put_i64(seed, 40, wall_ns());
    put_u64(seed, 48, salt);
    if (!hmac_sha256(g_config.key, seed, mac))
        return false;
    for (int i = 0; i < NONCE_BYTES; i++)
        nonce[i] = mac[i];
    return true;
}

/// By our key, of a nonce and the first `bytes` of `b`. @return false: as above.
bool sign_after(const uchar &nonce[], const uchar &b[], const int bytes, uchar &mac[])
{
    uchar message[];
    ArrayResize(message, NONCE_BYTES + bytes);
    for (int i = 0; i < NONCE_BYTES; i++)
        message[i] = nonce[i];
    for (int i = 0; i < bytes; i++)
        message[NONCE_BYTES + i] = b[i];
    return hmac_sha256(g_config.key, message, mac);
}

/// True if that is what follows those bytes.
bool is_signed_after(const uchar &nonce[], const uchar &b[], const int bytes)
{
    uchar mac[];
    if (!sign_after(nonce, b, bytes, mac))
        return false;
    for (int i = 0; i < MAC_BYTES; i++)
        if (mac[i] != b[bytes + i])
            return false;
    return true;
}

// -- stream --------------------------------------------------------------------------------------

class FrameStream
{
protected:
    int socket_;
    int version_;
    uchar in_[];
    int in_begin_;
    int in_end_;
    uchar out_[];
    int out_end_;
    ulong drained_ms_;  // when a read last found nothing

    /// @param connect_ms SocketConnect waits so long at most. @return false: GetLastError() is why.
    bool open_socket(const string server, const int at_port, const uint connect_ms,
                     const uint io_ms)
    {
        socket_ = SocketCreate(SOCKET_DEFAULT);
        if (socket_ == INVALID_HANDLE)
            return false;
        if (!SocketConnect(socket_, server, (uint)at_port, connect_ms))
            return false;
        SocketTimeouts(socket_, io_ms, io_ms);
        heard_ms = now_ms();
        sent_ms = heard_ms;
        drained_ms_ = heard_ms;
        return true;
    }

    void close_socket()
    {
        if (socket_ != INVALID_HANDLE)
            SocketClose(socket_);
        socket_ = INVALID_HANDLE;
        in_begin_ = 0;
        in_end_ = 0;
        out_end_ = 0;
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

    FrameStream(const int version)
    {
        version_ = version;
        socket_ = INVALID_HANDLE;
        in_begin_ = 0;
        in_end_ = 0;
        out_end_ = 0;
        drained_ms_ = 0;
        frame_type = 0;
        frame_seq = 0;
        body_bytes = 0;
        heard_ms = 0;
        sent_ms = 0;
        arrived_after_ms = 0;
    }

    bool is_open() { return socket_ != INVALID_HANDLE; }
    int waiting_bytes() { return out_end_; }

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

    /// The next whole frame into frame_type, frame_seq, body; FRAME_NONE if more bytes are needed.
    /// A stream that broke the framing cannot be trusted again.
    int next()
    {
        if (in_end_ - in_begin_ < FRAME_HEAD_BYTES)
            return FRAME_NONE;
        uint bytes = get_u32(in_, in_begin_);
        if (bytes < FRAME_HEAD_BYTES || bytes > FRAME_BYTES_MAX ||
            get_u8(in_, in_begin_ + 5) != version_)
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
        make_frame(frame, version_, type, seq, frame_body, bytes);
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

    /// Sends what waits, as far as the socket takes it. @return false if the connection is gone.
    bool write_out()
    {
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
};
