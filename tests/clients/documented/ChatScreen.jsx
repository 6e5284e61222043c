const ChatScreen = ({ chatId }) => {
  const [messages, setMessages] = useState([]);
  const [inputMessage, setInputMessage] = useState('');
  const [isTyping, setIsTyping] = useState(false);

  useEffect(() => {
    // Join chat room and listen for messages
    socket.emit('join-chat', { chatId });

    socket.on('newMessage', (message) => {
      setMessages(prev => [...prev, message]);
    });

    socket.on('typing', ({ userId, isTyping }) => {
      setIsTyping(isTyping && userId !== currentUserId);
    });

    return () => {
      socket.off('newMessage');
      socket.off('typing');
    };
  }, [chatId]);

  const sendMessage = () => {
    if (inputMessage.trim()) {
      socket.emit('sendMessage', {
        chatId,
        content: inputMessage,
        messageType: 'text'
      });
      setInputMessage('');
    }
  };

  const handleTyping = (typing) => {
    socket.emit('typing', { chatId, isTyping: typing });
  };

  return (
    <div className="chat-screen">
      <div className="messages-container">
        {messages.map(message => (
          <MessageBubble key={message._id} message={message} />
        ))}
        {isTyping && <TypingIndicator />}
      </div>

      <div className="message-input">
        <input
          value={inputMessage}
          onChange={(e) => setInputMessage(e.target.value)}
          onFocus={() => handleTyping(true)}
          onBlur={() => handleTyping(false)}
          placeholder="Type a message..."
        />
        <button onClick={sendMessage}>Send</button>
      </div>
    </div>
  );
};
