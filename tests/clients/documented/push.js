// When new message received and app is in background
socket.on('newMessage', async (message) => {
  const appState = await AppState.currentState;

  if (appState === 'background') {
    // Send local push notification
    await Notifications.scheduleNotificationAsync({
      content: {
        title: message.sender.name,
        body: message.content,
        data: {
          chatId: message.chat,
          messageId: message._id
        }
      },
      trigger: null
    });
  } else {
    // Update in-app UI
    updateChatMessages(message);
  }
});
